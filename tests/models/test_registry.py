"""Registry of families and their weights in files."""
import pytest
import torch

from experiments.training.state.checkpoint import save_family
from models.cvae.family import CVAE, CVAEConfig
from models.registry import FAMILIES, GENERATORS, SWAPPERS, TRANSLATORS, family_types, load_family, load_weights
from models.translation.ugatit.family import UGATIT, UGATITConfig
from tests.models.cvae.test_family import TINY


def saved_family(path, **changes) -> CVAE:
    """A tiny CVAE, written to a file."""
    torch.manual_seed(7)
    family = CVAE(CVAEConfig(**{**TINY, **changes}), None)
    save_family(path, 'cvae', family.state_dict(), family.config)
    return family


@pytest.mark.parametrize('name', FAMILIES)
def test_each_entry_has_the_task_of_its_class(name):
    family, _ = FAMILIES[name].load()
    assert FAMILIES[name].task == family.task


def test_families_are_sorted_by_task():
    assert SWAPPERS == ('cgan', 'cvae', 'ddpm')
    assert 'pix2pixhd' in TRANSLATORS and set(GENERATORS) == set(SWAPPERS) | set(TRANSLATORS)
    assert set(FAMILIES) - set(GENERATORS) == {'recognizer', 'parser', 'causes'}


def test_load_weights_loads_the_weights_of_another_run(tmp_path):
    first = saved_family(tmp_path / 'family.safetensors')
    torch.manual_seed(8)
    second = CVAE(CVAEConfig(**TINY), None)
    load_weights(second, tmp_path / 'family.safetensors')
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in second.parameters())


def test_missing_discriminator_keeps_its_initial_weights(tmp_path):
    first = saved_family(tmp_path / 'family.safetensors')
    second = CVAE(CVAEConfig(**TINY, discriminator=4), None)
    discriminator = {name: value.clone() for name, value in second.discriminator.state_dict().items()}
    load_weights(second, tmp_path / 'family.safetensors')
    torch.testing.assert_close(second.decoder.state_dict(), first.decoder.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(dict(second.discriminator.state_dict()), discriminator, rtol=0, atol=0)
    with pytest.raises(ValueError, match='such as decoder.fine'):
        load_weights(CVAE(CVAEConfig(**TINY, fine=8), None), tmp_path / 'family.safetensors')


def test_missing_generator_raises(tmp_path):
    options = {'size': 16, 'width': 4, 'discriminator_width': 4, 'blocks': 1, 'global_layers': 4, 'local_layers': 3}
    one_way, two_way = (UGATIT(UGATITConfig(**options, one_way=value), None) for value in (True, False))
    save_family(tmp_path / 'family.safetensors', 'ugatit', one_way.state_dict(), one_way.config)
    with pytest.raises(ValueError, match='such as genB2A'):
        load_weights(two_way, tmp_path / 'family.safetensors')


def test_weights_of_other_shapes_raise_with_an_entry_that_differs(tmp_path):
    saved_family(tmp_path / 'family.safetensors', style=24)
    with pytest.raises(ValueError, match=r'does not fit the config: \d+ entries differ, such as decoder'):
        load_weights(CVAE(CVAEConfig(**TINY), None), tmp_path / 'family.safetensors')


@pytest.mark.parametrize('load', [lambda path: load_family(path, None), lambda path: load_weights(None, path)])
def test_file_in_another_format_raises(tmp_path, load):
    (tmp_path / 'family.safetensors').write_bytes(b'broken')
    with pytest.raises(ValueError, match='cannot be read as safetensors'):
        load(tmp_path / 'family.safetensors')


def test_family_of_another_task_is_refused(tmp_path):
    saved_family(tmp_path / 'family.safetensors')
    assert isinstance(load_family(tmp_path / 'family.safetensors', None, task='swap'), CVAE)
    with pytest.raises(ValueError, match='holds a CVAE, which swaps faces .swap.py.; give weights of a family that translates'):
        load_family(tmp_path / 'family.safetensors', None, task='translate')


def test_unknown_family_raises_and_lists_the_available_names():
    with pytest.raises(ValueError, match='known: cgan, cvae'):
        family_types('nvae')
