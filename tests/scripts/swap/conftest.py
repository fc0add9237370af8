"""Fixtures of the tests of scripts/swap.py."""
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from models import weights
from models.pipelines import swap_model
from models.pipelines.demo import demo_photo
from models.pipelines.io.images import write_image
from scripts import swap
from tests.models.stubs import FunctionFamily, OvalParser, perception, photo

WEIGHTS = b'no weights'  # content of the weights file of the stub


@pytest.fixture(autouse=True)
def certificate_folder(tmp_path, monkeypatch):
    """Keeps the signing certificate and the cache of weights in the temporary folder."""
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))


@pytest.fixture
def run() -> Callable[..., int]:
    """Runs the script with the given arguments on the CPU and returns its exit status."""
    return lambda *arguments: swap.main([str(argument) for argument in (*arguments, '--device', 'cpu')])


@pytest.fixture
def stub_family(monkeypatch, tmp_path_factory):
    """stub_family(generate, size) replaces the trained family by a function of the batch and the parser by an oval; it returns
    the list of the sizes of generated batches."""
    batch_sizes, file = [], tmp_path_factory.mktemp('weights') / 'stub.safetensors'
    file.write_bytes(WEIGHTS)

    def use(generate, size=128):
        def counted(batch):
            batch_sizes.append(len(batch))
            return generate(batch)

        monkeypatch.setattr(swap_model, 'load_family', lambda path, networks: FunctionFamily(counted, size))
        monkeypatch.setattr(weights, 'path', lambda name: file)
        monkeypatch.setattr(swap, 'build_perception', lambda *names, **named: perception(OvalParser()))
        return batch_sizes

    return use


@pytest.fixture(scope='session')
def photos(tmp_path_factory) -> Path:
    """Photos of one and of six faces, and one without a face."""
    folder = tmp_path_factory.mktemp('photos')
    for name in ('astronaut', 'portrait', 'group'):
        write_image(folder / f'{name}.png', demo_photo(name))
    write_image(folder / 'empty.png', photo(200, 300))
    return folder


@pytest.fixture
def cases(tmp_path) -> Path:
    """A copy of the image files with unusual properties."""
    return Path(shutil.copytree(Path(__file__).parents[2] / 'fixtures' / 'cases', tmp_path / 'cases'))


def write_video(path: Path, image: np.ndarray, frames: int, rate: int = 25) -> Path:
    """A video that repeats an image (H,W,3) uint8 RGB."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=rate)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], 'yuv420p'
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return path


@pytest.fixture
def video(tmp_path) -> Path:
    """A video of one face with six frames."""
    return write_video(tmp_path / 'video.mp4', np.ascontiguousarray(demo_photo('astronaut')[:240, 100:340]), 6)
