"""Mutated images in every format that Pillow writes, and decompression bombs."""
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from models.image_io import read_rgb
from tests.fuzz.contract import check, outcome

# Pillow's format -> file ending, options
FORMATS = {'PNG': ('png', {}), 'JPEG': ('jpg', {}), 'WEBP': ('webp', {}), 'GIF': ('gif', {}),
           'TIFF': ('tif', {'compression': 'tiff_lzw'}), 'BMP': ('bmp', {}), 'PPM': ('ppm', {}), 'TGA': ('tga', {}),
           'ICO': ('ico', {}), 'JPEG2000': ('jp2', {}), 'QOI': ('qoi', {}), 'AVIF': ('avif', {}), 'PCX': ('pcx', {}),
           'DDS': ('dds', {})}


def _encoded(image_format: str) -> bytes:
    rng = np.random.default_rng(0)
    pixels = np.linspace(0, 255, 48 * 40 * 3).reshape(48, 40, 3) + rng.normal(0, 9, (48, 40, 3))
    data = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(data, image_format, **FORMATS[image_format][1])
    return data.getvalue()


@pytest.mark.parametrize('image_format', FORMATS)
def test_formats_are_read_or_refused(tmp_path, count, image_format):
    Image.init()
    if image_format not in Image.SAVE or (image_format == 'AVIF' and not features.check('avif')):
        pytest.skip(f'this Pillow does not write {image_format}')
    check(image_format, _encoded(image_format), read_rgb, tmp_path / f'image.{FORMATS[image_format][0]}', count)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def _bomb(width: int, height: int) -> bytes:
    """A small PNG file with a header of that size."""
    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20) * 64, 9)
    return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', head) + _chunk(b'IDAT', rows) + _chunk(b'IEND', b'')


@pytest.mark.parametrize(('width', 'height'), [(60_000, 60_000), (2**31 - 1, 1), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (0, 5)])
def test_decompression_bombs_are_refused(tmp_path, width, height):
    (tmp_path / 'bomb.png').write_bytes(_bomb(width, height))
    assert outcome(lambda: read_rgb(tmp_path / 'bomb.png'), tmp_path) == ('refused', None)
