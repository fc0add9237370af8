"""scripts/export.py, and scripts/swap.py with its files and with the published SimSwap."""
import zipfile

import numpy as np
import pytest
import torch

from models import weights
from models.cgan.generator import PUBLISHED, Generator
from models.conversion.convert import write
from models.perception.encoders.simswap_arcface import SimSwapArcFace
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import read_image, write_image
from scripts import export, swap


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    for name in ('astronaut', 'portrait'):
        write_image(folder / f'{name}.png', demo_photo(name))
    return folder


def swapped(photos, output, *options) -> np.ndarray:
    """The image that scripts/swap.py writes, as integers."""
    arguments = ['--source', photos / 'portrait.png', '--target', photos / 'astronaut.png', '-o', output, '--device', 'cpu',
                 '--no-provenance', *options]
    assert swap.main([str(argument) for argument in arguments]) == 0
    return read_image(output).astype(int)


@pytest.mark.parametrize('family', ['cvae', 'cgan'])
def test_exported_zoo_family_gives_the_same_photo(photos, tmp_path, capsys, family):
    assert export.main(['--family', family, '-o', str(tmp_path / 'swap.onnx')]) == 0
    assert 'differ by' in capsys.readouterr().out
    torch_image = swapped(photos, tmp_path / 'torch.png', '--family', family)
    assert 'onnxruntime' not in capsys.readouterr().out
    onnx_image = swapped(photos, tmp_path / 'onnx.png', '--weights', tmp_path / 'swap.onnx')
    assert 'onnxruntime runs the generator on CPUExecutionProvider' in capsys.readouterr().out
    assert np.abs(torch_image - onnx_image).max() <= 2 and (torch_image != demo_photo('astronaut')).any()


@pytest.mark.parametrize('arguments, message', [
    (['--weights', 'absent.safetensors', '-o', 'a.onnx'], 'absent.safetensors'),
    (['--weights', 'simswap-224', '-o', 'a.onnx'], 'fetch simswap-224'),
])
def test_missing_weights_error_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert export.main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and '\n' not in error


@pytest.mark.slow
def test_published_simswap_swaps_a_photo(photos, tmp_path, monkeypatch, capsys):
    """Files in the published format with random weights and a white output."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    torch.manual_seed(0)
    generator = Generator(PUBLISHED['simswap-224'])
    torch.nn.init.zeros_(generator.last_layer[1].weight)
    torch.nn.init.constant_(generator.last_layer[1].bias, 8.0)
    with zipfile.ZipFile(weights.entry('simswap-224').path, 'w') as archive:
        torch.save(generator.state_dict(), tmp_path / 'latest_net_G.pth')
        archive.write(tmp_path / 'latest_net_G.pth', 'checkpoints/people/latest_net_G.pth')
        archive.writestr('__MACOSX/checkpoints/people/._latest_net_G.pth', b'')
    record = weights.entry('simswap-arcface')
    write(SimSwapArcFace((1, 1, 1, 1), True).state_dict(), record.path.with_suffix('.safetensors'), record)
    torch_image = swapped(photos, tmp_path / 'out.png', '--weights', 'simswap-224')
    assert (torch_image[115:125, 220:230] == 255).all() and (torch_image[-40:] == demo_photo('astronaut')[-40:]).all()
    onnx_image = swapped(photos, tmp_path / 'onnx.png', '--weights', 'simswap-224', '--runtime', 'onnx')
    assert 'CPUExecutionProvider' in capsys.readouterr().out
    assert np.abs(torch_image - onnx_image).max() <= 1


def test_quantized_file_is_complete_or_absent(tmp_path, capsys):
    output = str(tmp_path / 'a.onnx')
    assert export.main(['--int8', '--data', 'celeba', '--root', str(tmp_path / 'absent'), '-o', output]) == 2
    assert 'absent' in capsys.readouterr().err and not any(tmp_path.iterdir())
    assert export.main(['--int8', '-o', output]) == 0
    assert '8-bit convolutions change' in capsys.readouterr().out
