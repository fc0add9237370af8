"""scripts/export.py and what swap.py makes of its files; published SimSwap as its user meets it."""
import zipfile

import numpy as np
import pytest
import torch

from models import weights
from models.cgan.generator import PUBLISHED, Generator
from models.perception.encoders.simswap_arcface import SimSwapArcFace
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from models.storage.convert import write
from scripts import export, swap


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    for name in ('astronaut', 'portrait'):
        write_image(folder / f'{name}.png', demo_photo(name))
    return folder


def swapped(photos, out, *more) -> np.ndarray:
    arguments = ['--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', out, '--device', 'cpu',
                 '--no-provenance', *more]
    assert swap.main([str(word) for word in arguments]) == 0
    return read_image(out).astype(int)


@pytest.mark.parametrize('family', ['cvae', 'cgan'])
def test_the_zoos_swappers_give_the_same_photo_on_onnxruntime(photos, tmp_path, capsys, family):
    assert export.main(['--family', family, '-o', str(tmp_path / 'swap.onnx')]) == 0
    assert 'differ by' in capsys.readouterr().out
    plain = swapped(photos, tmp_path / 'plain.png', '--family', family)
    assert 'onnxruntime' not in capsys.readouterr().out
    portable = swapped(photos, tmp_path / 'portable.png', '--weights', tmp_path / 'swap.onnx')
    assert 'onnxruntime runs the generator on CPUExecutionProvider' in capsys.readouterr().out
    assert np.abs(plain - portable).max() <= 2 and (plain != demo_photo('astronaut')).any()


@pytest.mark.parametrize('words, hint', [
    (['--weights', 'absent.safetensors', '-o', 'a.onnx'], 'absent.safetensors'),
    (['--weights', 'simswap-224', '-o', 'a.onnx'], 'fetch simswap-224'),
])
def test_what_is_wrong_is_one_sentence(words, hint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert export.main(words) == 2
    said = capsys.readouterr().err.strip()
    assert hint in said and '\n' not in said


@pytest.mark.parametrize('words, hint', [
    (['--weights', 'simswap-224', '--pairs', 'a.csv', '--root', '.', '-o', 'out'], 'cuts its own crops'),
    (['--demo', '--parsing-mask'], '--parsing-mask belongs to'),
])
def test_simswaps_options_that_do_not_go_together_are_refused(words, hint, capsys):
    with pytest.raises(SystemExit) as caught:
        swap.main(words)
    assert caught.value.code == 2 and hint in capsys.readouterr().err


@pytest.mark.slow
def test_published_simswap_runs_from_its_files(photos, tmp_path, monkeypatch, capsys):
    """Files of the published form and size, with random values."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    torch.manual_seed(0)
    generator = Generator(PUBLISHED['simswap-224'])
    torch.nn.init.zeros_(generator.last_layer[1].weight)
    torch.nn.init.constant_(generator.last_layer[1].bias, 8.0)  # paints white
    with zipfile.ZipFile(weights.entry('simswap-224').path, 'w') as archive:
        torch.save(generator.state_dict(), tmp_path / 'latest_net_G.pth')
        archive.write(tmp_path / 'latest_net_G.pth', 'checkpoints/people/latest_net_G.pth')
        archive.writestr('__MACOSX/checkpoints/people/._latest_net_G.pth', b'')
    found = weights.entry('simswap-arcface')
    write(SimSwapArcFace((1, 1, 1, 1), True).state_dict(), found.path.with_suffix('.safetensors'), found)
    image = swapped(photos, tmp_path / 'out.png', '--weights', 'simswap-224')
    assert (image[115:125, 220:230] == 255).all() and (image[-40:] == demo_photo('astronaut')[-40:]).all()
    portable = swapped(photos, tmp_path / 'onnx.png', '--weights', 'simswap-224', '--runtime', 'onnx')
    assert 'CPUExecutionProvider' in capsys.readouterr().out
    assert np.abs(image - portable).max() <= 1


def test_int8_is_written_whole_or_not_at_all(tmp_path, capsys):
    assert export.main(['--int8', '--data', 'celeba', '--root', str(tmp_path / 'absent'), '-o', str(tmp_path / 'a.onnx')]) == 2
    assert 'absent' in capsys.readouterr().err and not any(tmp_path.iterdir())
    assert export.main(['--int8', '-o', str(tmp_path / 'a.onnx')]) == 0
    assert '8-bit convolutions change' in capsys.readouterr().out
