"""ICC profiles: conversion between an image's own color space and sRGB by LittleCMS (relative colorimetric, black point
compensation)."""
import io

import numpy as np
from PIL import Image, ImageCms

_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE  # a cached pixel would be shared between threads
_SRGB_TOLERANCE = 2  # of 255: profiles that move no color further count as sRGB


def _profile(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def color_space(profile: bytes) -> str | None:
    """'RGB', 'GRAY', 'CMYK', ... or None where the bytes are no profile."""
    try:
        return _profile(profile).profile.xcolor_space.strip()
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


def _converted(image: Image.Image, profile: bytes, to_srgb: bool) -> Image.Image:
    own, srgb = _profile(profile), ImageCms.createProfile('sRGB')
    first, second = (own, srgb) if to_srgb else (srgb, own)
    transform = ImageCms.buildTransform(first, second, image.mode, 'RGB', ImageCms.Intent.RELATIVE_COLORIMETRIC, _FLAGS)
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # as of a transform in place
    return converted


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image of mode L, RGB or CMYK with the profile of its mode -> mode RGB in sRGB; gray stays gray.
    ImageCms.PyCMSError where the profile has no such direction or is of another mode."""
    converted = _converted(image, profile, True)
    if image.mode == 'L':  # rounding may tint single levels
        converted = Image.merge('RGB', [converted.getchannel('G')] * 3)
    return converted


def from_srgb(rgb: np.ndarray, profile: bytes) -> np.ndarray:
    """(H,W,3) uint8 sRGB -> (H,W,3) uint8 in the color space of an RGB profile. ImageCms.PyCMSError as `to_srgb`."""
    return np.array(_converted(Image.fromarray(rgb), profile, False))


def is_invertible(profile: bytes) -> bool:
    """Whether `from_srgb` can be asked; profiles of scanners and cameras may lack that direction."""
    try:
        from_srgb(np.zeros((1, 1, 3), np.uint8), profile)
    except ImageCms.PyCMSError:
        return False
    return True


def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile means sRGB, up to rounding, whatever it is called. ImageCms.PyCMSError as `to_srgb`."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    converted = np.asarray(to_srgb(Image.fromarray(cube), profile))
    return int(np.abs(converted.astype(int) - cube).max()) <= _SRGB_TOLERANCE
