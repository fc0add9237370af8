"""Weights of families from files."""
import pytest
import torch

from experiments.training.checkpoint import save_family
from models.cvae.family import CVAE, CVAEConfig
from models.registry import FAMILIES, GENERATORS, SWAPPERS, TRANSLATORS, family_types, load_family, load_weights
from models.translation.ugatit.family import UGATIT, UGATITConfig
from tests.models.cvae.test_family import TINY


def saved(path, **changes) -> CVAE:
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
    first = saved(tmp_path / 'family.safetensors')
    torch.manual_seed(8)
    second = CVAE(CVAEConfig(**TINY), None)
    load_weights(second, tmp_path / 'family.safetensors')
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in second.parameters())


def test_a_missing_discriminator_keeps_its_weights(tmp_path):
    first = saved(tmp_path / 'family.safetensors')
    second = CVAE(CVAEConfig(**TINY, discriminator=4), None)
    discriminator = {name: value.clone() for name, value in second.discriminator.state_dict().items()}
    load_weights(second, tmp_path / 'family.safetensors')
    torch.testing.assert_close(second.decoder.state_dict(), first.decoder.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(dict(second.discriminator.state_dict()), discriminator, rtol=0, atol=0)
    with pytest.raises(ValueError, match='such as decoder.fine'):
        load_weights(CVAE(CVAEConfig(**TINY, fine=8), None), tmp_path / 'family.safetensors')


def test_a_missing_generator_is_an_error(tmp_path):
    options = {'size': 16, 'width': 4, 'discriminator_width': 4, 'blocks': 1, 'global_layers': 4, 'local_layers': 3}
    one, two = (UGATIT(UGATITConfig(**options, one_way=one_way), None) for one_way in (True, False))
    save_family(tmp_path / 'family.safetensors', 'ugatit', one.state_dict(), one.config)
    with pytest.raises(ValueError, match='such as genB2A'):
        load_weights(two, tmp_path / 'family.safetensors')


def test_weights_of_another_shape_name_an_entry_that_differs(tmp_path):
    saved(tmp_path / 'family.safetensors', style=24)
    with pytest.raises(ValueError, match=r'does not fit the config: \d+ entries differ, such as decoder'):
        load_weights(CVAE(CVAEConfig(**TINY), None), tmp_path / 'family.safetensors')


@pytest.mark.parametrize('load', [lambda path: load_family(path, None), lambda path: load_weights(None, path)])
def test_a_file_that_is_no_safetensors_is_an_error(tmp_path, load):
    (tmp_path / 'family.safetensors').write_bytes(b'broken')
    with pytest.raises(ValueError, match='cannot be read as safetensors'):
        load(tmp_path / 'family.safetensors')


def test_an_unknown_family_names_the_known_ones():
    with pytest.raises(ValueError, match='known: cgan, cvae'):
        family_types('nvae')
