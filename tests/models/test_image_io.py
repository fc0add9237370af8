"""Decoding of images: color spaces, alpha and depth are kept right, and whatever is broken is one sentence."""
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
# format of Pillow -> mode of the seed that is mutated
SEEDS = {'PNG': 'RGBA', 'JPEG': 'RGB', 'GIF': 'P', 'BMP': 'RGB', 'WEBP': 'RGBA', 'AVIF': 'RGB', 'QOI': 'RGBA', 'JPEG2000': 'RGB',
         'ICO': 'RGBA', 'ICNS': 'RGBA', 'TGA': 'RGB', 'PPM': 'RGB', 'PCX': 'RGB', 'SGI': 'RGB', 'DDS': 'RGBA', 'IM': 'RGB',
         'MPO': 'RGB', 'TIFF': 'RGB'}
OPTIONS = {'TIFF': {'compression': 'tiff_lzw'}, 'TGA': {'rle': True}}  # of Pillow, for saving the seeds


def profile() -> bytes:
    return read_photo(CASES / 'wide-gamut.jpg').icc_profile


def save(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def test_only_one_module_opens_image_files():
    found = [f'{path.relative_to(ROOT)}' for room in ('models', 'datasets', 'experiments', 'scripts', 'app', 'configs')
             for path in (ROOT / room).rglob('*.py')
             if re.search(r'\bImage\.open\(|\bcv2\.im(read|decode)\(', path.read_text(encoding='utf-8'))]
    assert found == ['models/image_io.py']


# Depth and color

def test_sixteen_bits_of_gray_are_scaled():
    found = read_photo(CASES / 'gray16.png')
    assert np.abs(found.rgb[..., 0].astype(int) - read_rgb(CASES / 'gray.jpg')[..., 0]).mean() < 4
    assert len(found.notes) == 1 and 'more than 8 bits' in found.notes[0]


@pytest.mark.parametrize('ending', ['.png', '.tif'])
def test_sixteen_bits_keep_their_order_over_the_whole_range(tmp_path, ending):
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16)
    path = save(tmp_path / f'a{ending}', Image.fromarray(np.tile(levels, (4, 1))))
    np.testing.assert_array_equal(read_rgb(path)[0, :, 0], np.arange(256))


def test_sixteen_bits_of_color_are_scaled(tmp_path):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    row = b''.join(struct.pack('>HHH', level, 65535 - level, 257 * 128) for level in (0, 20000, 65535))
    (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 3, 1, 16, 2, 0, 0, 0))
                                     + chunk(b'IDAT', zlib.compress(b'\0' + row)) + chunk(b'IEND', b''))
    found = read_photo(tmp_path / 'a.png')
    assert np.abs(found.rgb[0].astype(int) - [[0, 255, 128], [78, 177, 128], [255, 0, 128]]).max() <= 1
    assert 'more than 8 bits' in found.notes[0]


@pytest.mark.parametrize('low, high, dtype', [(0, 1, np.float32), (0, 255, np.float32), (-3, 5, np.float32),
                                              (3000, 4000, np.float32), (0, 65535, np.int32), (-70000, 900000, np.int32)])
def test_floats_and_long_integers_are_scaled(tmp_path, low, high, dtype):
    path = save(tmp_path / 'a.tif', Image.fromarray(np.linspace(low, high, 256).astype(dtype)[None].repeat(4, 0)))
    assert np.abs(read_rgb(path)[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_a_wide_gamut_is_shown_to_networks_in_srgb():
    found, srgb = read_photo(CASES / 'wide-gamut.jpg'), read_rgb(CASES / 'face.jpg').astype(int)
    assert np.abs(found.rgb - srgb).mean() < 2 < 3 < np.abs(found.native - srgb).mean()
    assert found.icc_profile == profile()


def test_a_profile_that_means_srgb_changes_nothing_and_is_kept(tmp_path):
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    found = read_photo(save(tmp_path / 'a.png', Image.fromarray(photo(20, 30)), icc_profile=own))
    np.testing.assert_array_equal(found.rgb, photo(20, 30))
    assert found.icc_profile == own and found.native is None


def test_cmyk_becomes_srgb_with_a_note(tmp_path):
    path = save(tmp_path / 'a.jpg', Image.new('CMYK', (8, 8), (0, 255, 255, 0)))
    found = read_photo(path)
    assert found.rgb[0, 0, 0] > 200 and found.rgb[0, 0, 1:].max() < 60 and found.icc_profile is None
    assert any('CMYK' in note for note in found.notes)


def test_a_damaged_or_foreign_profile_is_ignored_with_a_note(tmp_path):
    damaged = profile()[:200] + bytes(100)
    for data, image in ((damaged, Image.fromarray(photo(20, 30))), (profile(), Image.new('CMYK', (30, 20)))):
        path = save(tmp_path / 'a.tif', image, icc_profile=data)
        found = read_photo(path)
        assert found.icc_profile is None and any('profile' in note for note in found.notes)
        np.testing.assert_array_equal(found.rgb, np.array(image.convert('RGB')))


def test_what_was_not_changed_keeps_its_bytes_and_its_profile(tmp_path):
    found = read_photo(CASES / 'wide-gamut.jpg')
    swapped = found.rgb.copy()
    swapped[100:120, 90:130] = (200, 90, 80)
    write_image(tmp_path / 'out.png', found.with_rgb(swapped))
    again = read_photo(tmp_path / 'out.png')
    assert again.icc_profile == profile()
    changed = np.zeros(found.rgb.shape[:2], bool)
    changed[100:120, 90:130] = True
    np.testing.assert_array_equal(again.native[~changed], found.native[~changed])
    assert np.abs(again.rgb[changed].astype(int) - (200, 90, 80)).max() <= 3


def test_a_profile_that_leads_only_to_srgb_is_not_written(monkeypatch):
    def one_way(*given):
        raise ImageCms.PyCMSError('cannot build transform')

    monkeypatch.setattr(image_io.icc, 'from_srgb', one_way)
    found = read_photo(CASES / 'wide-gamut.jpg')
    assert found.icc_profile is None and found.native is None
    assert np.abs(found.rgb.astype(int) - read_rgb(CASES / 'face.jpg')).mean() < 2


# Alpha

def stored(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert('RGBA'))


def test_alpha_is_kept_and_hidden_colors_never_show(tmp_path):
    before, found = stored(CASES / 'alpha.png'), read_photo(CASES / 'alpha.png')
    hidden = before[..., 3] == 0
    assert (before[hidden][:, 0] > 200).any(), 'magenta'
    assert (found.rgb[hidden] == BACKGROUND).all()
    swapped = found.rgb.copy()
    swapped[60:200, 60:90] = 10  # across the border
    write_image(tmp_path / 'out.png', found.with_rgb(swapped))
    after = stored(tmp_path / 'out.png')
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    assert (after[hidden][:, :3] == BACKGROUND).all()
    np.testing.assert_array_equal(after[:60][~hidden[:60]], before[:60][~hidden[:60]])
    assert (after[130, 80] == (10, 10, 10, 255)).all()
    write_image(tmp_path / 'out.jpg', found.with_rgb(swapped))
    assert np.abs(read_rgb(tmp_path / 'out.jpg')[:5, :5].astype(int) - 255).max() <= 2, 'white below'


def test_half_transparent_pixels_are_made_for_their_share(tmp_path):
    pixels = np.full((8, 8, 4), (250, 20, 250, 128), np.uint8)
    found = read_photo(save(tmp_path / 'a.png', Image.fromarray(pixels)))
    share = 128 / 255
    assert np.abs(found.rgb[0, 0] - (np.array([250, 20, 250]) * share + BACKGROUND * (1 - share))).max() <= 1
    swapped = found.rgb.copy()
    swapped[:4] = (np.array([100, 120, 140]) * share + BACKGROUND * (1 - share)).round()
    after = found.with_rgb(swapped)
    assert np.abs(after.native[0, 0].astype(int) - (100, 120, 140)).max() <= 2 and (after.native[4:] == pixels[4:, :, :3]).all()


def test_a_label_shows_on_transparent_pixels():
    hidden = Photo(np.full((8, 8, 3), BACKGROUND, np.uint8), np.zeros((8, 8), np.uint8), np.full((8, 8, 3), BACKGROUND, np.uint8))
    labeled = hidden.rgb.copy()
    labeled[2:4] = 255
    after = hidden.with_rgb(labeled, opaque=True)
    assert (after.alpha[2:4] == 255).all() and (after.native[2:4] == 255).all() and not after.alpha[4:].any()


@pytest.mark.parametrize('mode, key', [('P', 0), ('L', 0), ('RGB', (0, 0, 0)), ('1', 0)])
def test_one_transparent_color_is_alpha(tmp_path, mode, key):
    image = Image.new(mode, (9, 8))
    image.paste(1 if mode in 'P1' else 'white', (0, 0, 4, 8))
    found = read_photo(save(tmp_path / 'a.png', image, transparency=key))
    assert (found.alpha[:, :4] == 255).all() and not found.alpha[:, 4:].any() and (found.rgb[:, 4:] == BACKGROUND).all()


# Animations

@pytest.mark.parametrize('ending', ['.gif', '.webp', '.png'])
def test_of_an_animation_the_first_image_is_taken_and_it_is_said(tmp_path, ending):
    images = [Image.new('RGB', (9, 8), color) for color in ('red', 'blue')]
    path = save(tmp_path / f'a{ending}', images[0], save_all=True, append_images=images[1:])
    found = read_photo(path)
    assert found.rgb[0, 0, 0] > 240 > 20 > found.rgb[0, 0, 2] and 'first image' in found.notes[0]


# What is broken

def sentence(path: Path) -> str | None:
    """What is said of a file; None where it is read. Anything but an ImageError fails the test."""
    try:
        read_photo(path)
    except ImageError as error:
        return str(error)
    return None


def mutations(data: bytes, rng: np.random.Generator, count: int):
    for number in range(count):
        changed = bytearray(data)
        if number % 3 == 0:
            changed = changed[:rng.integers(1, len(data))]
        span = len(changed) if number % 2 else min(64, len(changed))  # headers are short
        for at in rng.integers(0, span, rng.integers(1, 9)):
            changed[at] = rng.integers(256)
        yield bytes(changed)


@pytest.mark.parametrize('kind', SEEDS)
def test_mutated_files_are_read_or_refused_in_one_sentence(tmp_path, capfd, kind):
    Image.init()
    ending = next(ending for ending, name in Image.EXTENSION.items() if name == kind)
    image = Image.fromarray(photo(32, 32)).convert(SEEDS[kind])
    seed, path, refused = io.BytesIO(), tmp_path / f'a{ending}', 0
    image.save(seed, kind, **OPTIONS.get(kind, {}))
    path.write_bytes(seed.getvalue())
    assert sentence(path) is None
    for data in mutations(seed.getvalue(), np.random.default_rng(zlib.crc32(kind.encode())), 30):
        path.write_bytes(data)
        said = sentence(path)
        refused += said is not None
        assert said is None or (str(path) in said and '\n' not in said)
    assert refused and capfd.readouterr().err == ''


def test_a_data_set_counts_an_image_whose_decoder_fails_as_broken(tmp_path):
    Image.fromarray(photo(32, 32)).save(tmp_path / 'a.qoi')
    (tmp_path / 'a.jpg').write_bytes((tmp_path / 'a.qoi').read_bytes()[:200])  # IndexError inside of Pillow
    with pytest.raises(BrokenImage, match='a.jpg.*damaged'):
        read_image(tmp_path / 'a.jpg')


@pytest.mark.parametrize('name, data', [
    ('gif', b'GIF89a' + struct.pack('<HH', 65535, 65535) + b'\x80\0\0\0\0\0\xff\xff\xff,' + struct.pack('<HHHHB', 0, 0, 1, 1, 0)),
    ('gif', b'GIF89a' + struct.pack('<HH', 1, 1) + b'\x80\0\0\0\0\0\xff\xff\xff,' + struct.pack('<HHHHB', 0, 0, 65535, 65535, 0)),
    ('qoi', b'qoif' + struct.pack('>IIBB', 60000, 60000, 4, 0) + bytes(8)),
    ('ppm', b'P6 99999 99999 255\n'),
    ('eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n'),
])
def test_bombs_and_programs_are_refused_before_they_are_decoded(tmp_path, monkeypatch, name, data):
    (tmp_path / f'a.{name}').write_bytes(data)
    monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('decoded'))
    assert re.search('pixels|no image', sentence(tmp_path / f'a.{name}'))


@pytest.mark.parametrize('kind, keyword', [(b'zTXt', b'a\0\0'), (b'iCCP', b'a\0\0'), (b'iTXt', b'a\0\1\0\0\0')])
def test_compressed_metadata_does_not_fill_the_memory(tmp_path, kind, keyword):
    data = keyword + zlib.compress(bytes(30_000_000))
    chunk = struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    whole = save(tmp_path / 'a.png', Image.new('RGB', (8, 8))).read_bytes()
    (tmp_path / 'a.png').write_bytes(whole[:33] + chunk + whole[33:])
    assert 'too large' in sentence(tmp_path / 'a.png')


def test_too_little_memory_is_said_before_decoding(tmp_path, monkeypatch):
    path = save(tmp_path / 'a.png', Image.new('1', (4000, 3000)))
    monkeypatch.setattr(image_io, 'available_memory', lambda: 100_000_000)
    assert re.search('4000 x 3000 pixels.*0.4 GB.*0.1 GB are free', sentence(path))
    monkeypatch.setattr(image_io, 'available_memory', lambda: None)
    assert sentence(path) is None


def test_available_memory_is_a_plausible_number():
    assert image_io.available_memory() is None or 10 ** 7 < image_io.available_memory() < 10 ** 14


def test_files_that_cannot_be_opened_are_one_sentence(tmp_path):
    for path in (tmp_path, tmp_path / 'absent', tmp_path / ('x' * 300)):
        with pytest.raises(ImageError) as caught, open_image(path):
            pass
        assert '\n' not in str(caught.value)
