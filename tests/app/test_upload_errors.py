"""Uploads in the browser: files that are no image, limits, metadata."""
import io
import re

import numpy as np
from PIL import Image

from models.pipelines.demo import demo_photo
from tests.app.browser import error_message, saved_image


def test_invalid_uploads_give_error_messages_and_are_removed(page, home, tmp_path):
    files = {'text.png': b'no image', 'half.jpg': _encoded(Image.fromarray(demo_photo('astronaut')), 'JPEG')[:5000],
             'drawing.gif': _encoded(Image.new('P', (8, 8)), 'GIF')}
    for (name, data), message in zip(files.items(), ('no image in a supported format', 'cannot be read', 'no image in a')):
        (tmp_path / name).write_bytes(data)
        page.set_input_files('#swap-source input[type=file]', str(tmp_path / name))
        text = error_message(page)
        assert message in text and str(tmp_path) not in text and '/' not in text.replace('/ ', '')
        page.wait_for_selector('#swap-source input[type=file]', state='attached')


def test_uploads_above_the_limits_give_error_messages(page, tmp_path):
    Image.new('L', (9000, 6000)).save(tmp_path / 'wide.png')
    page.set_input_files('#swap-source input[type=file]', str(tmp_path / 'wide.png'))
    assert '9000 x 6000 pixels, more than the 50 million' in error_message(page)
    (tmp_path / 'heavy.png').write_bytes(bytes(33 * 2 ** 20))
    page.wait_for_selector('#swap-source input[type=file]', state='attached')
    page.set_input_files('#swap-source input[type=file]', str(tmp_path / 'heavy.png'))
    assert 'maximum' in error_message(page)


def test_stored_upload_has_no_metadata(page, tmp_path):
    image = Image.fromarray(demo_photo('astronaut'))
    exif = image.getexif()
    exif[0x010e] = 'photographer, place and date'
    image.save(tmp_path / 'photo.jpg', exif=exif, comment=b'a comment')
    page.set_input_files('#swap-target input[type=file]', str(tmp_path / 'photo.jpg'))
    with page.expect_response(re.compile('queue/data')):
        page.wait_for_selector('#swap-target img')
    page.wait_for_timeout(500)
    stored = saved_image(page, '#swap-target img', tmp_path / 'stored.jpg').read_bytes()
    assert b'photographer' not in stored and b'a comment' not in stored
    assert np.abs(np.array(Image.open(io.BytesIO(stored))).astype(int) - demo_photo('astronaut')).mean() < 4


def _encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()
