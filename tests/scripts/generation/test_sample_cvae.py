"""scripts/sample_cvae.py with an untrained CVAE."""
import numpy as np
import pytest

from experiments.training.state.checkpoint import save_family
from models.cvae.family import CVAE, CVAEConfig
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from scripts import sample_cvae


@pytest.fixture(scope='module')
def arguments(tmp_path_factory) -> list[str]:
    """Source and target."""
    folder = tmp_path_factory.mktemp('photos')
    for name in ('astronaut', 'portrait'):
        write_image(folder / f'{name}.png', demo_photo(name))
    return ['--source', str(folder / 'portrait.png'), '--target', str(folder / 'astronaut.png')]


def test_samples_repeat_by_seed(arguments, tmp_path):
    config = CVAEConfig(size=32, widths=(16, 24), depth=1, latent=4, style=8, background=8)
    save_family(tmp_path / 'family.safetensors', 'cvae', CVAE(config, None).state_dict(), config)
    sheets = []
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        settings = ['--weights', str(tmp_path / 'family.safetensors'), '--n', '2', '--seed', str(seed)]
        assert sample_cvae.main([*arguments, *settings, '-o', str(tmp_path / f'{name}.png')]) == 0
        sheets.append(read_image(tmp_path / f'{name}.png'))
    assert sheets[0].shape[1] > 5 * 256, 'source, target, swap and two samples'
    assert np.array_equal(sheets[0], sheets[1]) and not np.array_equal(sheets[0], sheets[2])


def test_unreadable_weights_error_is_one_line(arguments, tmp_path, capsys):
    (tmp_path / 'bad.safetensors').write_bytes(b'nothing')
    assert sample_cvae.main([*arguments, '--weights', str(tmp_path / 'bad.safetensors')]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith('sample_cvae.py: ') and '\n' not in error
