"""Lists of faces: errors common to all layouts, and decoding of images."""

import numpy as np
import pytest
from PIL import Image

from datasets import faces as faces_module
from datasets.faces import BrokenImage, read_image
from datasets.loaders import build_pairs, build_swaps
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def fresh_warnings():
    faces_module.warn_once.cache_clear()


@pytest.mark.parametrize('name', ['celeba', 'celebamask', 'folder', 'plain', 'cache', 'unpaired'])
def test_missing_or_empty_root_raises_value_error(tmp_path, name):
    build = build_pairs if name == 'unpaired' else build_swaps
    with pytest.raises(ValueError, match='is not a folder'):
        build(name, tmp_path / 'nowhere', 32)
    with pytest.raises(ValueError, match=str(tmp_path)):
        build(name, tmp_path, 32)
    with pytest.raises(ValueError, match='root'):
        build(name, None, 32)


def test_unknown_name_raises_value_error_and_lists_the_available_names(tmp_path):
    with pytest.raises(ValueError, match="unknown set of faces 'lfww'; known: celeba"):
        build_swaps('lfww', tmp_path, 32)
    layouts.folders(tmp_path)
    with pytest.raises(ValueError, match="unknown partition 'dev'; known: train"):
        build_swaps('folder', tmp_path, 32, 'dev')
    with pytest.raises(ValueError, match='no two domains'):
        build_pairs('celeba', tmp_path, 32)


def test_exif_orientation_is_applied_and_truncated_files_are_broken(tmp_path):
    array = layouts.image(3, 40, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated by 90 degrees
    layouts.write(tmp_path / 'turned.png', np.rot90(array).copy(), exif=exif)
    assert np.array_equal(read_image(tmp_path / 'turned.png'), array)
    layouts.write(tmp_path / 'whole.jpg', array)
    (tmp_path / 'half.jpg').write_bytes((tmp_path / 'whole.jpg').read_bytes()[:-200])
    with pytest.raises(BrokenImage, match='half.jpg'):
        read_image(tmp_path / 'half.jpg')
