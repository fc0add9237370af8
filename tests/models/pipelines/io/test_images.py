"""Reading and writing of image files by the pipelines."""
import os

import numpy as np
import pytest
from PIL import Image

from models.pipelines.io.images import check_output, read_image, write_image
from tests.models.stubs import photo


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = photo(24, 40)
    stored = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
              6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / 'a.png', exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png'), upright)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', 'CMYK', 'I;16'])
def test_all_color_modes_become_rgb(tmp_path, mode):
    image = Image.fromarray(np.full((8, 9), 30000, np.uint16)) if mode == 'I;16' else Image.new(mode, (9, 8))
    image.save(tmp_path / 'a.tif')
    assert read_image(tmp_path / 'a.tif').shape == (8, 9, 3)


def test_unreadable_files_raise_one_sentence(tmp_path):
    (tmp_path / 'notes.jpg').write_text('no image')
    Image.fromarray(photo(200, 200)).save(tmp_path / 'complete.jpg')
    (tmp_path / 'half.jpg').write_bytes((tmp_path / 'complete.jpg').read_bytes()[:2000])
    Image.new('1', (20001, 10000)).save(tmp_path / 'huge.png')
    for name, message in (('absent.jpg', 'no file'), ('notes.jpg', 'no image'), ('half.jpg', 'damaged'),
                          ('huge.png', '200 million'), ('', 'no file')):
        with pytest.raises(ValueError, match=message) as caught:
            read_image(tmp_path / name)
        assert '\n' not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_failed_write_keeps_the_existing_image(tmp_path, monkeypatch):
    target = tmp_path / 'new' / 'a.png'
    write_image(target, photo(20, 30))
    np.testing.assert_array_equal(read_image(target), photo(20, 30))

    def full_disk(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full_disk)
    with pytest.raises(ValueError, match='the disk is full'):
        write_image(target, photo(20, 30, seed=1))
    assert [path.name for path in target.parent.iterdir()] == ['a.png']
    np.testing.assert_array_equal(read_image(target), photo(20, 30))


def test_unsupported_suffix_raises(tmp_path):
    with pytest.raises(ValueError, match='.png'):
        write_image(tmp_path / 'a.doc', photo(20, 30))


def test_output_that_is_an_input_raises(tmp_path):
    path = tmp_path / 'a.png'
    Image.new('RGB', (8, 8)).save(path)
    (tmp_path / 'b.png').symlink_to(path)
    for name in ('a.png', 'b.png'):
        with pytest.raises(ValueError, match='would replace the input'):
            check_output(tmp_path / name, [tmp_path / 'absent.png', path])
    assert check_output(path, [path], overwrite=True) == path
    check_output(tmp_path / 'new' / 'deep' / 'c.png', [path])
    assert not (tmp_path / 'new').exists()
