"""Photos read from uploads, compared with photos read from files."""
import shutil
from pathlib import Path

import numpy as np
import pytest
from gradio.data_classes import ImageData
from PIL import Image

from app.images import Upload, download
from models.image_io import read_photo
from scripts import app as script

CASES = Path(__file__).parents[1] / 'fixtures' / 'cases'


@pytest.fixture
def uploaded(tmp_path):
    """Function that uploads a file and returns the photo twice: as read first, and as read again from the stored file."""
    upload = Upload()
    upload.GRADIO_CACHE = str(tmp_path)

    def read_twice(file: Path):
        stored = tmp_path / file.name
        if stored != file:
            shutil.copy(file, stored)
        return [upload.preprocess(ImageData(path=str(stored))) for _ in range(2)]

    return read_twice


@pytest.mark.parametrize('name', ['alpha.png', 'wide-gamut.jpg', 'gray16.png', 'face.jpg'])
def test_alpha_profile_and_notes_are_kept(uploaded, name):
    expected = read_photo(CASES / name)
    for photo in uploaded(CASES / name):
        assert np.abs(photo.rgb.astype(int) - expected.rgb).mean() < 3, 'error of the JPEG compression'
        assert photo.icc_profile == expected.icc_profile and (photo.alpha is None) == (expected.alpha is None)
        assert [note.partition(' ')[2] for note in expected.notes] == [note.partition('upload ')[2] for note in photo.notes]
    if expected.alpha is not None:
        assert (photo.alpha == expected.alpha).all()


def test_cmyk_upload_is_converted_to_srgb(uploaded, tmp_path):
    Image.new('CMYK', (64, 64), (0, 255, 255, 0)).save(tmp_path / 'a.jpg')
    for photo in uploaded(tmp_path / 'a.jpg'):
        assert photo.rgb[0, 0, 0] > 200 and photo.rgb[0, 0, 1:].max() < 60 and 'CMYK' in photo.notes[0]


def test_download_keeps_alpha(uploaded, tmp_path):
    photo = uploaded(CASES / 'alpha.png')[0]
    path = download(photo.with_rgb(255 - photo.rgb), 'swap.png', None, str(tmp_path))
    assert (read_photo(path).alpha == photo.alpha).all()


def test_page_does_not_start_without_a_folder_for_the_signing_key(tmp_path, monkeypatch, capsys):
    (tmp_path / 'file').write_text('not a folder')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file'))
    monkeypatch.setattr(script, 'serve', lambda *args, **kwargs: pytest.fail('started'))
    assert script.main([]) == 2
    message = capsys.readouterr().err.strip()
    assert 'XDG_CONFIG_HOME' in message and '\n' not in message
