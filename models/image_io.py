"""Image decoding: the only place that opens image files, for pipelines, data sets, the web page and the tools.

Pillow decodes. Whatever a decoder raises becomes an ImageError of one sentence; the number of pixels is limited by the header,
before anything is decoded; libtiff's own messages and Pillow's warnings about odd metadata are silenced.
"""
import logging
import os
import sys
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from models import icc

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp'}  # of the images of data sets
PHOTO_SUFFIXES = IMAGE_SUFFIXES | {'.avif', '.gif', '.heic', '.heif', '.jp2', '.tif', '.tiff'}  # some need plugins of Pillow
MAX_PIXELS = 200_000_000  # the largest photos of phones; every decoder of Pillow stays below 4 GB
BYTES_PER_PIXEL = 30  # peak of decoding and swapping with alpha and a profile, without the networks; a third of it with neither
_ALWAYS_FITS = 10_000_000  # pixels for which the free memory is not looked up
BACKGROUND = 128  # gray level under transparent pixels
_SCRIPTED = {'EPS', 'WMF'}  # decoded by programs outside Pillow
_ROWS = 512  # rows that are converted at a time, where a whole copy would cost much memory
_stderr_lock = threading.Lock()

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow itself refuses twice as many, for images inside of images, too
warnings.filterwarnings('ignore', module=r'PIL\.')
logging.getLogger('PIL').setLevel(logging.CRITICAL)


def list_images(folder: Path, *, deep: bool = False, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[str]:
    """Sorted paths of the images in a folder, relative to it. deep: include subfolders. Hidden files and folders are skipped."""
    paths = folder.rglob('*') if deep else folder.iterdir()
    relative = (path.relative_to(folder) for path in paths if path.suffix.lower() in suffixes)
    return sorted(path.as_posix() for path in relative if not any(part.startswith('.') for part in path.parts))


class ImageError(ValueError):
    """An image file that cannot be read; the message is one sentence with its name and what to do."""


@dataclass(frozen=True)
class Photo:
    """A decoded image, upright.

    rgb (H,W,3) uint8 sRGB, opaque: what networks get; where it is transparent, over the gray BACKGROUND. alpha (H,W) uint8, or
    None where all is opaque. native (H,W,3) uint8: the pixels to be written, in the color space of icc_profile, not multiplied by
    alpha and BACKGROUND where alpha is 0; None where they equal rgb. icc_profile: RGB, None for sRGB. notes: sentences for the
    user.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    native: np.ndarray | None = None
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()

    def with_rgb(self, rgb: np.ndarray, *, opaque: bool = False) -> 'Photo':
        """The photo with pixels replaced by those of (H,W,3) uint8 sRGB that differ from its own. Their change is carried over to
        the native pixels, so that all others keep their bytes; alpha is kept, unless `opaque` makes the changed pixels opaque."""
        if self.native is None:
            return replace(self, rgb=rgb)
        changed = (rgb != self.rgb).any(-1)
        if not changed.any():
            return self
        ys, xs = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
        box = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
        native, alpha = self.native.copy(), self.alpha
        before, after = (self._in_own_space(part[box]).astype(np.float32) for part in (self.rgb, rgb))
        if alpha is None:
            made = native[box] + after - before
        elif opaque:
            alpha = np.where(changed, np.uint8(255), alpha)
            made = np.where(changed[box][..., None], after, native[box])
        else:  # rgb = alpha native + (1 - alpha) BACKGROUND, solved for native
            share = alpha[box][..., None].astype(np.float32) / 255
            made = native[box] + np.where(share > 0, (after - before) / np.maximum(share, 1 / 255), 0)
        native[box] = made.round().clip(0, 255)
        return replace(self, rgb=rgb, native=native, alpha=alpha)

    def _in_own_space(self, rgb: np.ndarray) -> np.ndarray:
        if self.icc_profile is None or icc.is_srgb(self.icc_profile):
            return rgb
        return icc.from_srgb(np.ascontiguousarray(rgb), self.icc_profile)

    def image(self, *, alpha: bool) -> Image.Image:
        """As it is to be written: mode RGB or RGBA; without alpha, transparent pixels lie over white."""
        image = Image.fromarray(self.rgb if self.native is None else self.native)
        if self.alpha is not None and alpha:
            image.putalpha(Image.fromarray(self.alpha))
        elif self.alpha is not None:
            image = Image.composite(image, Image.new('RGB', image.size, (255,) * 3), Image.fromarray(self.alpha))
        return image


def read_photo(path: str | Path, *, formats: tuple[str, ...] | None = None, name: str | None = None,
               max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode an image of any mode and depth. ImageError as `open_image`, whose parameters these are."""
    with open_image(path, formats=formats, name=name, max_pixels=max_pixels) as image:
        return _decoded(image, name or str(path))


def read_rgb(path: str | Path) -> np.ndarray:
    """(H,W,3) uint8: `read_photo(path).rgb`."""
    return read_photo(path).rgb


@contextmanager
def open_image(path: str | Path, *, formats: tuple[str, ...] | None = None, name: str | None = None,
               max_pixels: int = MAX_PIXELS) -> Iterator[ImageFile.ImageFile]:
    """A Pillow image that is not decoded yet; inside the context, every exception of a decoder becomes an ImageError.

    formats: of Pillow, the only ones that are tried; None for all. name: what the file is called in messages. ImageError where
    the file is missing, no image, damaged, or of more pixels than `max_pixels` or the free memory allow.
    """
    path, name = Path(path), name or str(path)
    try:
        if not path.is_file():
            raise ImageError(f'{name} is no file; give an image (JPEG, PNG, WebP, ...)')
        with Image.open(path, formats=formats) as image:
            if image.format in _SCRIPTED:
                raise UnidentifiedImageError(image.format)
            _check_size(image.width, image.height, name, max_pixels)
            with _silent_stderr() if image.format == 'TIFF' else nullcontext():
                yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f'{name} is no image in a known format; give a JPEG, PNG or WebP file') from error
    except Image.DecompressionBombError as error:
        raise ImageError(f'{name} has more pixels than the {max_pixels / 1e6:g} million allowed; reduce it first') from error
    except MemoryError as error:
        raise ImageError(f'{name} needs more memory than is free; reduce it first or close other programs') from error
    except Exception as error:  # on damaged files decoders also raise IndexError, RuntimeError, struct.error and others
        if isinstance(error, OSError) and error.errno:
            raise ImageError(f'{name} cannot be read: {error.strerror}; check the path and its permissions') from error
        cause = str(error).splitlines()[0] if str(error).strip() else type(error).__name__
        raise ImageError(f'{name} cannot be read ({cause}); it may be damaged, export it again') from error


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    pixels = width * height
    memory = available_memory() if pixels > _ALWAYS_FITS else None
    if pixels > max_pixels:
        raise ImageError(f'{name} has {width} x {height} pixels, more than the {max_pixels / 1e6:g} million that are read; '
                         'reduce it first')
    if memory is not None and pixels * BYTES_PER_PIXEL > memory:
        raise ImageError(f'{name} has {width} x {height} pixels, which need {pixels * BYTES_PER_PIXEL / 1e9:.1f} GB of memory; '
                         f'{memory / 1e9:.1f} GB are free; reduce it first or close other programs')


def available_memory() -> int | None:
    """Bytes that can be used without swapping, as far as the system says: Linux its estimate, other Unixes all memory."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return None


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """libtiff prints to file descriptor 2, past Python; for as long, nobody else's messages get there either."""
    with _stderr_lock:
        try:
            sys.stderr.flush()
            saved = os.dup(2)
        except (AttributeError, OSError, ValueError):  # there is no stderr
            yield
            return
        try:
            with open(os.devnull, 'wb') as sink:
                os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _decoded(file: ImageFile.ImageFile, name: str) -> Photo:
    notes = []
    if _is_animated(file):
        notes.append(f'{name} is animated; its first image was taken')
    if ';16' in str(file.tile) or file.mode in ('I', 'F'):
        notes.append(f'{name} has more than 8 bits per channel, of which 8 are kept')
    image = _upright(file)
    profile = image.info.get('icc_profile') or None
    image, alpha = _split(image)
    rgb, profile, native = _to_srgb(image, profile, name, notes)
    if alpha is not None and alpha.getextrema() != (255, 255):
        native = native or rgb
        ground = Image.new('RGB', rgb.size, (BACKGROUND,) * 3)
        native = Image.composite(native, ground, alpha.point(lambda level: 255 if level else 0))
        rgb = Image.composite(rgb, ground, alpha)
    else:
        alpha = None
    return Photo(_array(rgb), None if alpha is None else np.array(alpha), None if native is None else _array(native), profile,
                 tuple(notes))


def _is_animated(image: Image.Image) -> bool:
    try:
        return image.format in ('GIF', 'PNG', 'WEBP', 'AVIF') and bool(getattr(image, 'is_animated', False))
    except Exception:  # a GIF is asked for its second image, which may be damaged
        return False


def _upright(image: Image.Image) -> Image.Image:
    """Decoded and turned as the EXIF tag says; damaged EXIF data say nothing."""
    image.load()
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Mode L, RGB, CMYK or another one that Pillow converts to RGB; and the alpha channel (L), or None. Of deeper integers and
    floats the range becomes 0 to 255."""
    key = image.info.get('transparency')
    if image.mode in ('I', 'F') or image.mode.startswith('I;16'):
        values = np.asarray(image)
        alpha = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)) if isinstance(key, int) else None
        return Image.fromarray(_to_8_bits(values)), alpha
    is_gray = image.mode in ('1', 'L', 'LA', 'La')
    if not image.has_transparency_data:
        return image.convert('L') if is_gray else image, None
    rgba = image.convert('RGBA')
    return rgba.getchannel(0) if is_gray else rgba.convert('RGB'), rgba.getchannel('A')


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """(H,W) integers or floats -> uint8. Integers up to 65535 are levels of 16 bits; floats in [0,1] are shares of white, those
    in [0,255] are levels of 8 bits; anything else is scaled from its own minimum and maximum."""
    is_float = values.dtype.kind == 'f'
    values = np.nan_to_num(values, posinf=0, neginf=0) if is_float else values
    low, high = float(values.min()), float(values.max())
    white = next((white for white in ((1, 255) if is_float else (65535,)) if low >= 0 and high <= white), None)
    shift, scale = (0, white) if white else (low, high - low or 1)
    return ((values - shift) * (255 / scale)).round().astype(np.uint8)


def _to_srgb(image: Image.Image, profile: bytes | None, name: str, notes: list[str]) \
        -> tuple[Image.Image, bytes | None, Image.Image | None]:
    """Mode RGB in sRGB, the RGB profile to be written or None for sRGB, and the pixels in its color space where these differ."""
    if profile is not None:
        try:
            space = icc.color_space(profile)
            if space == 'RGB' and image.mode not in ('CMYK', 'LAB'):
                own = _rgb(image)
                if icc.is_srgb(profile):
                    return own, profile, None
                srgb = icc.to_srgb(own, profile)
                return (srgb, profile, own) if icc.is_invertible(profile) else (srgb, None, None)
            if (space, image.mode) in (('GRAY', 'L'), ('CMYK', 'CMYK')):
                if image.mode == 'CMYK':
                    notes.append(f'{name} is CMYK and was converted to sRGB')
                return icc.to_srgb(image, profile), None, None
            notes.append(f'{name} has a color profile that does not fit it and was ignored')
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append(f'{name} has a damaged color profile, which was ignored')
    if image.mode == 'CMYK':
        notes.append(f'{name} is CMYK without a usable profile; its colors are approximate')
    return _rgb(image), None, None


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == 'RGB' else image.convert('RGB')


def _array(image: Image.Image) -> np.ndarray:
    """(H,W,3) uint8, writable, of mode RGB."""
    if image.height <= _ROWS:
        return np.array(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels
