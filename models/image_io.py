"""Decoding of image files with Pillow; no other module opens image files.

Every exception of a decoder becomes an ImageError. The number of pixels is checked in the header, before decoding. Messages of
libtiff and warnings of Pillow about metadata are suppressed.
"""
import logging
import os
import sys
import threading
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from models import icc

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp'}  # of the images of data sets
PHOTO_SUFFIXES = IMAGE_SUFFIXES | {'.avif', '.gif', '.heic', '.heif', '.jp2', '.tif', '.tiff'}  # some require plugins of Pillow
MAX_PIXELS = 200_000_000  # size of the largest photos of phones; the decoders of Pillow use less than 4 GB for it
BYTES_PER_PIXEL = 30  # peak of decoding and swapping with alpha and a profile, without the networks; 10 without both
_UNCHECKED_PIXELS = 10_000_000  # largest number of pixels for which the free memory is not checked
BACKGROUND = 128  # gray level behind transparent pixels
_EXTERNAL_FORMATS = {'EPS', 'WMF'}  # formats that Pillow decodes by external programs
_ROWS_PER_COPY = 512  # rows converted at a time, to save the memory of a whole copy
_stderr_lock = threading.Lock()

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow raises an error above twice this number, also for embedded images
warnings.filterwarnings('ignore', module=r'PIL\.')
logging.getLogger('PIL').setLevel(logging.CRITICAL)


def list_images(folder: Path, *, deep: bool = False, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[str]:
    """Sorted paths of the images in a folder, relative to it. deep: include subfolders. Hidden files and folders are skipped."""
    paths = folder.rglob('*') if deep else folder.iterdir()
    relative = (path.relative_to(folder) for path in paths if path.suffix.lower() in suffixes)
    return sorted(path.as_posix() for path in relative if not any(part.startswith('.') for part in path.parts))


class ImageError(ValueError):
    """An image file cannot be read. The message states the file, the cause and the remedy."""


@dataclass(frozen=True)
class Photo:
    """A decoded image, upright.

    Attributes:
        rgb: (H,W,3) uint8 sRGB for networks, with transparent pixels over the gray BACKGROUND.
        alpha: (H,W) uint8, or None for an opaque image.
        native: (H,W,3) uint8, the pixels to write: in the color space of `icc_profile`, not multiplied by alpha, and BACKGROUND
            where alpha is 0; None if they equal `rgb`.
        icc_profile: an RGB profile, or None for sRGB.
        notes: messages for the user, one sentence each.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    native: np.ndarray | None = None
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()

    def with_rgb(self, rgb: np.ndarray, *, opaque: bool = False) -> 'Photo':
        """The photo with new pixels (H,W,3) uint8 sRGB. Changes are transferred to the native pixels; unchanged pixels keep their
        bytes. opaque: set alpha to 255 where pixels change; otherwise alpha is kept."""
        if self.native is None:
            return replace(self, rgb=rgb)
        changed = (rgb != self.rgb).any(-1)
        if not changed.any():
            return self
        ys, xs = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
        box = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
        native, alpha = self.native.copy(), self.alpha
        before, after = (self._to_native(part[box]).astype(np.float32) for part in (self.rgb, rgb))
        if alpha is None:
            pixels = native[box] + after - before
        elif opaque:
            alpha = np.where(changed, np.uint8(255), alpha)
            pixels = np.where(changed[box][..., None], after, native[box])
        else:  # rgb = alpha native + (1 - alpha) BACKGROUND, solved for native
            opacity = alpha[box][..., None].astype(np.float32) / 255
            pixels = native[box] + np.where(opacity > 0, (after - before) / np.maximum(opacity, 1 / 255), 0)
        native[box] = pixels.round().clip(0, 255)
        return replace(self, rgb=rgb, native=native, alpha=alpha)

    def _to_native(self, rgb: np.ndarray) -> np.ndarray:
        """(H,W,3) uint8 sRGB -> (H,W,3) uint8 in the color space of `icc_profile`."""
        if self.icc_profile is None or icc.is_srgb(self.icc_profile):
            return rgb
        return icc.from_srgb(np.ascontiguousarray(rgb), self.icc_profile)

    def image(self, *, alpha: bool) -> Image.Image:
        """The image to write, in mode RGB or RGBA. alpha: keep the alpha channel; otherwise transparent pixels become white."""
        image = Image.fromarray(self.rgb if self.native is None else self.native)
        if self.alpha is not None and alpha:
            image.putalpha(Image.fromarray(self.alpha))
        elif self.alpha is not None:
            image = Image.composite(image, Image.new('RGB', image.size, (255,) * 3), Image.fromarray(self.alpha))
        return image


def read_photo(path: str | Path, *, formats: Sequence[str] | None = None, name: str | None = None,
               max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode an image of any mode and depth; arguments and errors are those of `open_image`."""
    with open_image(path, formats=formats, name=name, max_pixels=max_pixels) as image:
        return _decode(image, name or str(path))


def read_rgb(path: str | Path) -> np.ndarray:
    """(H,W,3) uint8: `read_photo(path).rgb`."""
    return read_photo(path).rgb


@contextmanager
def open_image(path: str | Path, *, formats: Sequence[str] | None = None, name: str | None = None,
               max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image with Pillow without decoding it; inside the context, every exception becomes an ImageError.

    Args:
        path: of the file.
        formats: of Pillow, to accept; None for all.
        name: of the file in messages; None for its path.
        max_pixels: maximum number of pixels.

    Raises:
        ImageError: the file is missing, no image, damaged, has too many pixels or needs more than the free memory.
    """
    path, name = Path(path), name or str(path)
    try:
        if not path.is_file():
            raise ImageError(f'{name} is no file; give an image (JPEG, PNG, WebP, ...)')
        with Image.open(path, formats=None if formats is None else tuple(formats)) as image:
            if image.format in _EXTERNAL_FORMATS:
                raise UnidentifiedImageError(image.format)
            _check_size(image.width, image.height, name, max_pixels)
            with _silent_stderr() if image.format == 'TIFF' else nullcontext():
                yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f'{name} is no image in a supported format; give a JPEG, PNG or WebP file') from error
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
    memory = available_memory() if pixels > _UNCHECKED_PIXELS else None
    if pixels > max_pixels:
        raise ImageError(f'{name} has {width} x {height} pixels, more than the {max_pixels / 1e6:g} million that are read; '
                         'reduce it first')
    if memory is not None and pixels * BYTES_PER_PIXEL > memory:
        raise ImageError(f'{name} has {width} x {height} pixels, which need {pixels * BYTES_PER_PIXEL / 1e9:.1f} GB of memory; '
                         f'{memory / 1e9:.1f} GB are free; reduce it first or close other programs')


def available_memory() -> int | None:
    """Bytes of memory available without swapping: an estimate on Linux, all memory on other Unixes, None elsewhere."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return None


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Redirect file descriptor 2, to which libtiff prints directly, to the null device, for all threads."""
    with _stderr_lock:
        try:
            sys.stderr.flush()
            saved = os.dup(2)
        except (AttributeError, OSError, ValueError):  # no stderr
            yield
            return
        try:
            with open(os.devnull, 'wb') as sink:
                os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _decode(image: Image.Image, name: str) -> Photo:
    notes = []
    if _is_animated(image):
        notes.append(f'{name} is animated; its first image was used')
    if ';16' in str(getattr(image, 'tile', '')) or image.mode in ('I', 'F'):
        notes.append(f'{name} has more than 8 bits per channel, of which 8 are kept')
    image = _upright(image)
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
    except Exception:  # for a GIF, Pillow reads the second image, which may be damaged
        return False


def _upright(image: Image.Image) -> Image.Image:
    """Decode the image and apply the orientation of its EXIF data; damaged EXIF data are ignored."""
    image.load()
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Split off the alpha channel: an image of mode L, RGB, CMYK or another one that Pillow converts to RGB, and alpha (L) or
    None. Deeper integers and floats are scaled to [0,255]."""
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
    """(H,W) integers or floats -> (H,W) uint8. Integers in [0,65535] have 16 bits; floats in [0,1] or [0,255] are scaled from
    that range; other values are scaled from their minimum and maximum."""
    is_float = values.dtype.kind == 'f'
    values = np.nan_to_num(values, posinf=0, neginf=0) if is_float else values
    low, high = float(values.min()), float(values.max())
    white = next((white for white in ((1, 255) if is_float else (65535,)) if low >= 0 and high <= white), None)
    shift, scale = (0, white) if white else (low, high - low or 1)
    return ((values - shift) * (255 / scale)).round().astype(np.uint8)


def _to_srgb(image: Image.Image, profile: bytes | None, name: str, notes: list[str]) \
        -> tuple[Image.Image, bytes | None, Image.Image | None]:
    """The image in sRGB (mode RGB), the RGB profile to write or None for sRGB, and the pixels in its color space or None if they
    are equal."""
    space = profile and icc.color_space(profile)
    try:
        if profile and space == 'RGB' and image.mode not in ('CMYK', 'LAB'):
            native = _rgb(image)
            if icc.is_srgb(profile):
                return native, profile, None
            srgb = icc.to_srgb(native, profile)
            return (srgb, profile, native) if icc.is_invertible(profile) else (srgb, None, None)
        if profile and (space, image.mode) in (('GRAY', 'L'), ('CMYK', 'CMYK')):
            if image.mode == 'CMYK':
                notes.append(f'{name} is CMYK and was converted to sRGB')
            return icc.to_srgb(image, profile), None, None
        if profile:
            notes.append(f'{name} has a color profile that does not fit it and was ignored')
    except (ImageCms.PyCMSError, OSError, ValueError):
        notes.append(f'{name} has a damaged color profile, which was ignored')
    if image.mode == 'CMYK':
        notes.append(f'{name} is CMYK without a usable profile; its colors are approximate')
    return _rgb(image), None, None


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == 'RGB' else image.convert('RGB')


def _array(image: Image.Image) -> np.ndarray:
    """Mode RGB -> (H,W,3) uint8, writable."""
    if image.height <= _ROWS_PER_COPY:
        return np.array(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS_PER_COPY):
        bottom = min(top + _ROWS_PER_COPY, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels
