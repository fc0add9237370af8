"""The demonstration of scripts/swap.py, with a stub and with the weights of the zoo."""
import numpy as np
import pytest
import torch

from models import weights
from models.base import FamilyConfig
from models.pipelines import swap_model
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image
from models.translation.translator import Translator


def test_contact_sheet_shows_swaps_in_last_column(run, stub_family, tmp_path):
    stub_family(lambda batch: torch.tensor([1.0, -1.0, 1.0]).view(1, 3, 1, 1).expand_as(batch.target))
    assert run('--demo', '-o', tmp_path, '--no-color') == 0
    image, sheet = read_image(tmp_path / 'swap.png'), read_image(tmp_path / 'contact.png')
    assert image.shape == demo_photo('astronaut').shape and (image[115:125, 220:230] == [255, 0, 255]).all()
    magenta_columns = (sheet == [255, 0, 255]).all(2).any(0)
    assert not magenta_columns[:len(magenta_columns) * 2 // 3].any() and magenta_columns[len(magenta_columns) * 2 // 3:].any()


@pytest.mark.parametrize('family', ['cvae', 'cgan', 'ddpm'])
def test_zoo_families_change_the_face(run, tmp_path, family):
    assert run('--demo', '--family', family, '-o', tmp_path) == 0
    before, after = demo_photo('astronaut'), read_image(tmp_path / 'swap.png')
    change = np.abs(after.astype(int) - before).max(2)
    assert (change > 8).mean() > 0.005 and (change > 0).mean() < 0.1
    assert (tmp_path / 'contact.png').exists()


def test_sampling_settings_and_seed_change_diffusion_swaps(run, tmp_path):
    arguments = '--demo', '--family', 'ddpm', '--sampling', 'steps=2', 'id_guidance=0'
    for number, more in enumerate(((), (), ('guidance=3',), ('--seed', 1))):
        assert run(*arguments, *more, '-o', tmp_path / str(number)) == 0
    images = [read_image(tmp_path / str(number) / 'swap.png') for number in range(4)]
    assert (images[0] == images[1]).all() and (images[0] != images[2]).any() and (images[0] != images[3]).any()


@pytest.mark.parametrize('family, setting, message', [
    ('ddpm', 'stepz=2', 'did you mean steps'),
    ('ddpm', 'steps=0', 'the setting sampling.steps'),
    ('cgan', 'steps=2', 'generates in one step'),
])
def test_unusable_sampling_setting_is_an_error(run, tmp_path, capsys, family, setting, message):
    assert run('--demo', '-o', tmp_path / 'out', '--family', family, '--sampling', setting) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_family_without_zoo_weights_is_an_error(run, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(weights.TABLE, 'cgan')
    assert run('--demo', '-o', tmp_path) == 2
    assert '--family cgan` and give the family.safetensors' in capsys.readouterr().err


def test_translation_family_is_an_error(run, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run('--demo', '--family', 'cyclegan')
    assert 'invalid choice' in capsys.readouterr().err
    monkeypatch.setattr(swap_model, 'load_family', lambda *_: Translator(FamilyConfig(), None))
    assert run('--demo', '--weights', 'drawings.safetensors', '-o', tmp_path) == 2
    assert 'use scripts/translate.py' in capsys.readouterr().err
