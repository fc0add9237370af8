"""Uploads of the page are read as the scripts read photos."""
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
def given(tmp_path):
    """Uploads a file: what a page's function gets, at first and when it is asked again."""
    upload = Upload()
    upload.GRADIO_CACHE = str(tmp_path)

    def give(file: Path):
        stored = tmp_path / file.name
        if stored != file:
            shutil.copy(file, stored)
        return [upload.preprocess(ImageData(path=str(stored))) for _ in range(2)]

    return give


@pytest.mark.parametrize('name', ['alpha.png', 'wide-gamut.jpg', 'gray16.png', 'face.jpg'])
def test_alpha_profile_and_depth_are_kept(given, name):
    photo = read_photo(CASES / name)
    for found in given(CASES / name):
        assert np.abs(found.rgb.astype(int) - photo.rgb).mean() < 3, 'written anew as JPEG'
        assert found.icc_profile == photo.icc_profile and (found.alpha is None) == (photo.alpha is None)
        assert [note.partition(' ')[2] for note in photo.notes] == [note.partition('upload ')[2] for note in found.notes]
    if photo.alpha is not None:
        assert (found.alpha == photo.alpha).all()


def test_a_cmyk_upload_is_srgb(given, tmp_path):
    Image.new('CMYK', (64, 64), (0, 255, 255, 0)).save(tmp_path / 'a.jpg')
    for found in given(tmp_path / 'a.jpg'):
        assert found.rgb[0, 0, 0] > 200 and found.rgb[0, 0, 1:].max() < 60 and 'CMYK' in found.notes[0]


def test_a_download_keeps_alpha(given, tmp_path):
    photo = given(CASES / 'alpha.png')[0]
    path = download(photo.with_rgb(255 - photo.rgb), 'swap.png', None, str(tmp_path))
    assert (read_photo(path).alpha == photo.alpha).all()


def test_the_page_does_not_start_where_it_could_not_sign(tmp_path, monkeypatch, capsys):
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file'))
    monkeypatch.setattr(script, 'serve', lambda *given, **named: pytest.fail('started'))
    assert script.main([]) == 2
    said = capsys.readouterr().err.strip()
    assert 'XDG_CONFIG_HOME' in said and '\n' not in said
