"""ICC profiles: conversion between an image's own color space and sRGB by LittleCMS (relative colorimetric, black point
compensation)."""
import io

import numpy as np
from PIL import Image, ImageCms

_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE  # the pixel cache is shared between threads
_SRGB_TOLERANCE = 2  # levels of 255: a profile that changes no color by more counts as sRGB


def _profile(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def color_space(profile: bytes) -> str | None:
    """The color space of a profile: 'RGB', 'GRAY', 'CMYK', ... None for bytes that are no profile."""
    try:
        return _profile(profile).profile.xcolor_space.strip()
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


def _convert(image: Image.Image, profile: bytes, to_srgb: bool) -> Image.Image:
    native, srgb = _profile(profile), ImageCms.createProfile('sRGB')
    source, destination = (native, srgb) if to_srgb else (srgb, native)
    transform = ImageCms.buildTransform(source, destination, image.mode, 'RGB', ImageCms.Intent.RELATIVE_COLORIMETRIC, _FLAGS)
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # it is None for in-place conversions only
    return converted


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an image of mode L, RGB or CMYK with a profile of its mode to mode RGB in sRGB; gray stays gray.

    Raises ImageCms.PyCMSError if the profile does not support this direction or has another mode.
    """
    converted = _convert(image, profile, True)
    if image.mode == 'L':  # rounding may tint single levels
        converted = Image.merge('RGB', [converted.getchannel('G')] * 3)
    return converted


def from_srgb(rgb: np.ndarray, profile: bytes) -> np.ndarray:
    """Convert (H,W,3) uint8 sRGB to (H,W,3) uint8 in the color space of an RGB profile. Raises ImageCms.PyCMSError as
    `to_srgb` does."""
    return np.array(_convert(Image.fromarray(rgb), profile, False))


def is_invertible(profile: bytes) -> bool:
    """Whether the profile supports `from_srgb`; those of scanners and cameras may lack that direction."""
    try:
        from_srgb(np.zeros((1, 1, 3), np.uint8), profile)
    except ImageCms.PyCMSError:
        return False
    return True


def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile equals sRGB up to rounding, regardless of its name. Raises ImageCms.PyCMSError as `to_srgb` does."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    converted = np.asarray(to_srgb(Image.fromarray(cube), profile))
    return int(np.abs(converted.astype(int) - cube).max()) <= _SRGB_TOLERANCE
