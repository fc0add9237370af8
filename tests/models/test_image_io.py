"""Decoding of image files: color spaces, alpha, depth, damaged files."""
import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from datasets.faces import BrokenImage, read_image
from models import image_io
from models.image_io import BACKGROUND, ImageError, Photo, open_image, read_photo, read_rgb
from models.pipelines.io.images import write_image
from tests.models.stubs import photo

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / 'tests' / 'fixtures' / 'cases'
# format of Pillow -> mode of the image that is mutated
SEEDS = {'PNG': 'RGBA', 'JPEG': 'RGB', 'GIF': 'P', 'BMP': 'RGB', 'WEBP': 'RGBA', 'AVIF': 'RGB', 'QOI': 'RGBA', 'JPEG2000': 'RGB',
         'ICO': 'RGBA', 'ICNS': 'RGBA', 'TGA': 'RGB', 'PPM': 'RGB', 'PCX': 'RGB', 'SGI': 'RGB', 'DDS': 'RGBA', 'IM': 'RGB',
         'MPO': 'RGB', 'TIFF': 'RGB'}
OPTIONS = {'TIFF': {'compression': 'tiff_lzw'}, 'TGA': {'rle': True}}  # of Pillow, for saving these images


def profile() -> bytes:
    return read_photo(CASES / 'wide-gamut.jpg').icc_profile


def save(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def test_no_other_module_opens_image_files():
    modules = [f'{path.relative_to(ROOT)}' for package in ('models', 'datasets', 'experiments', 'scripts', 'app', 'configs')
             for path in (ROOT / package).rglob('*.py')
             if re.search(r'\bImage\.open\(|\bcv2\.im(read|decode)\(', path.read_text(encoding='utf-8'))]
    assert modules == ['models/image_io.py']


# Depth and color

def test_16_bit_gray_is_scaled():
    decoded = read_photo(CASES / 'gray16.png')
    assert np.abs(decoded.rgb[..., 0].astype(int) - read_rgb(CASES / 'gray.jpg')[..., 0]).mean() < 4
    assert len(decoded.notes) == 1 and 'more than 8 bits' in decoded.notes[0]


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_16_bit_levels_are_scaled_linearly(tmp_path, suffix):
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16)
    path = save(tmp_path / f'a{suffix}', Image.fromarray(np.tile(levels, (4, 1))))
    np.testing.assert_array_equal(read_rgb(path)[0, :, 0], np.arange(256))


def test_16_bit_color_is_scaled(tmp_path):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    row = b''.join(struct.pack('>HHH', level, 65535 - level, 257 * 128) for level in (0, 20000, 65535))
    (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 3, 1, 16, 2, 0, 0, 0))
                                     + chunk(b'IDAT', zlib.compress(b'\0' + row)) + chunk(b'IEND', b''))
    decoded = read_photo(tmp_path / 'a.png')
    assert np.abs(decoded.rgb[0].astype(int) - [[0, 255, 128], [78, 177, 128], [255, 0, 128]]).max() <= 1
    assert 'more than 8 bits' in decoded.notes[0]


@pytest.mark.parametrize('low, high, dtype', [(0, 1, np.float32), (0, 255, np.float32), (-3, 5, np.float32),
                                              (3000, 4000, np.float32), (0, 65535, np.int32), (-70000, 900000, np.int32)])
def test_floats_and_32_bit_integers_are_scaled(tmp_path, low, high, dtype):
    path = save(tmp_path / 'a.tif', Image.fromarray(np.linspace(low, high, 256).astype(dtype)[None].repeat(4, 0)))
    assert np.abs(read_rgb(path)[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_wide_gamut_is_converted_to_srgb():
    decoded, srgb = read_photo(CASES / 'wide-gamut.jpg'), read_rgb(CASES / 'face.jpg').astype(int)
    assert np.abs(decoded.rgb - srgb).mean() < 2 < 3 < np.abs(decoded.native - srgb).mean()
    assert decoded.icc_profile == profile()


def test_srgb_profile_is_kept_without_conversion(tmp_path):
    srgb_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    decoded = read_photo(save(tmp_path / 'a.png', Image.fromarray(photo(20, 30)), icc_profile=srgb_profile))
    np.testing.assert_array_equal(decoded.rgb, photo(20, 30))
    assert decoded.icc_profile == srgb_profile and decoded.native is None


def test_cmyk_is_converted_to_srgb_with_a_note(tmp_path):
    path = save(tmp_path / 'a.jpg', Image.new('CMYK', (8, 8), (0, 255, 255, 0)))
    decoded = read_photo(path)
    assert decoded.rgb[0, 0, 0] > 200 and decoded.rgb[0, 0, 1:].max() < 60 and decoded.icc_profile is None
    assert any('CMYK' in note for note in decoded.notes)


def test_damaged_or_mismatched_profile_is_ignored_with_a_note(tmp_path):
    damaged = profile()[:200] + bytes(100)
    for data, image in ((damaged, Image.fromarray(photo(20, 30))), (profile(), Image.new('CMYK', (30, 20)))):
        path = save(tmp_path / 'a.tif', image, icc_profile=data)
        decoded = read_photo(path)
        assert decoded.icc_profile is None and any('profile' in note for note in decoded.notes)
        np.testing.assert_array_equal(decoded.rgb, np.array(image.convert('RGB')))


def test_unchanged_pixels_keep_their_native_bytes_and_profile(tmp_path):
    decoded = read_photo(CASES / 'wide-gamut.jpg')
    swapped = decoded.rgb.copy()
    swapped[100:120, 90:130] = (200, 90, 80)
    write_image(tmp_path / 'out.png', decoded.with_rgb(swapped))
    again = read_photo(tmp_path / 'out.png')
    assert again.icc_profile == profile()
    changed = np.zeros(decoded.rgb.shape[:2], bool)
    changed[100:120, 90:130] = True
    np.testing.assert_array_equal(again.native[~changed], decoded.native[~changed])
    assert np.abs(again.rgb[changed].astype(int) - (200, 90, 80)).max() <= 3


def test_profile_without_inverse_is_not_written(monkeypatch):
    def no_inverse(*arguments):
        raise ImageCms.PyCMSError('cannot build transform')

    monkeypatch.setattr(image_io.icc, 'from_srgb', no_inverse)
    decoded = read_photo(CASES / 'wide-gamut.jpg')
    assert decoded.icc_profile is None and decoded.native is None
    assert np.abs(decoded.rgb.astype(int) - read_rgb(CASES / 'face.jpg')).mean() < 2


# Alpha

def read_rgba(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert('RGBA'))


def test_alpha_is_kept_and_transparent_colors_are_hidden(tmp_path):
    before, decoded = read_rgba(CASES / 'alpha.png'), read_photo(CASES / 'alpha.png')
    hidden = before[..., 3] == 0
    assert (before[hidden][:, 0] > 200).any(), 'magenta'
    assert (decoded.rgb[hidden] == BACKGROUND).all()
    swapped = decoded.rgb.copy()
    swapped[60:200, 60:90] = 10  # across the border of the transparent region
    write_image(tmp_path / 'out.png', decoded.with_rgb(swapped))
    after = read_rgba(tmp_path / 'out.png')
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    assert (after[hidden][:, :3] == BACKGROUND).all()
    np.testing.assert_array_equal(after[:60][~hidden[:60]], before[:60][~hidden[:60]])
    assert (after[130, 80] == (10, 10, 10, 255)).all()
    write_image(tmp_path / 'out.jpg', decoded.with_rgb(swapped))
    assert np.abs(read_rgb(tmp_path / 'out.jpg')[:5, :5].astype(int) - 255).max() <= 2, 'transparent pixels become white'


def test_changes_of_translucent_pixels_are_divided_by_alpha(tmp_path):
    pixels = np.full((8, 8, 4), (250, 20, 250, 128), np.uint8)
    decoded = read_photo(save(tmp_path / 'a.png', Image.fromarray(pixels)))
    alpha = 128 / 255
    assert np.abs(decoded.rgb[0, 0] - (np.array([250, 20, 250]) * alpha + BACKGROUND * (1 - alpha))).max() <= 1
    swapped = decoded.rgb.copy()
    swapped[:4] = (np.array([100, 120, 140]) * alpha + BACKGROUND * (1 - alpha)).round()
    after = decoded.with_rgb(swapped)
    assert np.abs(after.native[0, 0].astype(int) - (100, 120, 140)).max() <= 2 and (after.native[4:] == pixels[4:, :, :3]).all()


def test_opaque_changes_set_alpha():
    hidden = Photo(np.full((8, 8, 3), BACKGROUND, np.uint8), np.zeros((8, 8), np.uint8), np.full((8, 8, 3), BACKGROUND, np.uint8))
    labeled = hidden.rgb.copy()
    labeled[2:4] = 255
    after = hidden.with_rgb(labeled, opaque=True)
    assert (after.alpha[2:4] == 255).all() and (after.native[2:4] == 255).all() and not after.alpha[4:].any()


@pytest.mark.parametrize('mode, key', [('P', 0), ('L', 0), ('RGB', (0, 0, 0)), ('1', 0)])
def test_transparent_color_becomes_alpha(tmp_path, mode, key):
    image = Image.new(mode, (9, 8))
    image.paste(1 if mode in 'P1' else 'white', (0, 0, 4, 8))
    decoded = read_photo(save(tmp_path / 'a.png', image, transparency=key))
    assert (decoded.alpha[:, :4] == 255).all() and not decoded.alpha[:, 4:].any() and (decoded.rgb[:, 4:] == BACKGROUND).all()


# Animations

@pytest.mark.parametrize('suffix', ['.gif', '.webp', '.png'])
def test_first_image_of_an_animation_is_read_with_a_note(tmp_path, suffix):
    images = [Image.new('RGB', (9, 8), color) for color in ('red', 'blue')]
    path = save(tmp_path / f'a{suffix}', images[0], save_all=True, append_images=images[1:])
    decoded = read_photo(path)
    assert decoded.rgb[0, 0, 0] > 240 > 20 > decoded.rgb[0, 0, 2] and 'first image' in decoded.notes[0]


# Damaged files

def error_of(path: Path) -> str | None:
    """Message of the ImageError of a file; None if it can be read. Other exceptions fail the test."""
    try:
        read_photo(path)
    except ImageError as error:
        return str(error)
    return None


def mutations(data: bytes, rng: np.random.Generator, count: int):
    """Copies of a file with random bytes, some of them truncated."""
    for number in range(count):
        changed = bytearray(data)
        if number % 3 == 0:
            changed = changed[:rng.integers(1, len(data))]
        span = len(changed) if number % 2 else min(64, len(changed))  # headers are short
        for at in rng.integers(0, span, rng.integers(1, 9)):
            changed[at] = rng.integers(256)
        yield bytes(changed)


@pytest.mark.parametrize('format', SEEDS)
def test_mutated_files_are_read_or_raise_one_sentence(tmp_path, capfd, format):
    Image.init()
    suffix = next(suffix for suffix, name in Image.EXTENSION.items() if name == format)
    image = Image.fromarray(photo(32, 32)).convert(SEEDS[format])
    seed, path, errors = io.BytesIO(), tmp_path / f'a{suffix}', 0
    image.save(seed, format, **OPTIONS.get(format, {}))
    path.write_bytes(seed.getvalue())
    assert error_of(path) is None
    for data in mutations(seed.getvalue(), np.random.default_rng(zlib.crc32(format.encode())), 30):
        path.write_bytes(data)
        message = error_of(path)
        errors += message is not None
        assert message is None or (str(path) in message and '\n' not in message)
    assert errors and capfd.readouterr().err == ''


def test_data_sets_raise_broken_image_for_decoder_errors(tmp_path):
    Image.fromarray(photo(32, 32)).save(tmp_path / 'a.qoi')
    (tmp_path / 'a.jpg').write_bytes((tmp_path / 'a.qoi').read_bytes()[:200])  # IndexError in Pillow
    with pytest.raises(BrokenImage, match='a.jpg.*damaged'):
        read_image(tmp_path / 'a.jpg')


@pytest.mark.parametrize('name, data', [
    ('gif', b'GIF89a' + struct.pack('<HH', 65535, 65535) + b'\x80\0\0\0\0\0\xff\xff\xff,' + struct.pack('<HHHHB', 0, 0, 1, 1, 0)),
    ('gif', b'GIF89a' + struct.pack('<HH', 1, 1) + b'\x80\0\0\0\0\0\xff\xff\xff,' + struct.pack('<HHHHB', 0, 0, 65535, 65535, 0)),
    ('qoi', b'qoif' + struct.pack('>IIBB', 60000, 60000, 4, 0) + bytes(8)),
    ('ppm', b'P6 99999 99999 255\n'),
    ('eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n'),
])
def test_oversized_and_external_formats_raise_before_decoding(tmp_path, monkeypatch, name, data):
    (tmp_path / f'a.{name}').write_bytes(data)
    monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('decoded'))
    assert re.search('pixels|no image', error_of(tmp_path / f'a.{name}'))


@pytest.mark.parametrize('kind, keyword', [(b'zTXt', b'a\0\0'), (b'iCCP', b'a\0\0'), (b'iTXt', b'a\0\1\0\0\0')])
def test_large_compressed_metadata_raises(tmp_path, kind, keyword):
    data = keyword + zlib.compress(bytes(30_000_000))
    chunk = struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    whole = save(tmp_path / 'a.png', Image.new('RGB', (8, 8))).read_bytes()
    (tmp_path / 'a.png').write_bytes(whole[:33] + chunk + whole[33:])
    assert 'too large' in error_of(tmp_path / 'a.png')


def test_too_little_memory_raises_before_decoding(tmp_path, monkeypatch):
    path = save(tmp_path / 'a.png', Image.new('1', (4000, 3000)))
    monkeypatch.setattr(image_io, 'available_memory', lambda: 100_000_000)
    assert re.search('4000 x 3000 pixels.*0.4 GB.*0.1 GB are free', error_of(path))
    monkeypatch.setattr(image_io, 'available_memory', lambda: None)
    assert error_of(path) is None


def test_available_memory_is_plausible():
    assert image_io.available_memory() is None or 10 ** 7 < image_io.available_memory() < 10 ** 14


def test_unopenable_paths_raise_one_sentence(tmp_path):
    for path in (tmp_path, tmp_path / 'absent', tmp_path / ('x' * 300)):
        with pytest.raises(ImageError) as caught, open_image(path):
            pass
        assert '\n' not in str(caught.value)
