"""Palette and textures of the renderer. Colors are RGB in 0..255, float32."""
import colorsys
import math
from functools import lru_cache

import cv2
import numpy as np

from datasets.synthetic.canvas import blur
from datasets.synthetic.parameters import Parameters

_SKIN = np.array([(243, 214, 196), (236, 196, 170), (222, 174, 142), (198, 143, 106), (150, 101, 72), (104, 68, 50)], np.float32)
_HAIR = np.array([(24, 20, 20), (46, 31, 24), (84, 56, 38), (128, 90, 56), (184, 144, 90), (224, 196, 146)], np.float32)
_BACKGROUND_SIDE = 32  # pixels of a background before it is upsampled
_GRID = (_BACKGROUND_SIDE, _BACKGROUND_SIDE)
_AXIS = np.linspace(-1, 1, _BACKGROUND_SIDE, dtype=np.float32)
_IRIS = np.array([(44, 26, 18), (82, 50, 28), (124, 88, 46), (110, 122, 84), (96, 134, 158), (150, 180, 200)], np.float32)


def _interpolate(table: np.ndarray, value: float) -> np.ndarray:
    """(3,): linear interpolation of a table (N,3), whose rows are at equal steps from -1 to 1, at a value clamped to [-1, 1]."""
    position = (min(max(value, -1), 1) + 1) / 2 * (len(table) - 1)
    low = min(int(position), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * np.float32(position - low)


def _clamped(color: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(color, 0), 255)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB of a hue with period 1, and saturation and value clamped to [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32) * 255


def skin(v: Parameters) -> np.ndarray:
    """Color of the skin of an identity."""
    return _clamped(_interpolate(_SKIN, v['skin_tone']) + np.array([4, 1.5, -7], np.float32) * v['skin_warmth'])


def hair(v: Parameters) -> np.ndarray:
    """Color of the hair of an identity."""
    color = _interpolate(_HAIR, v['hair_tone'])
    red = max(v['hair_red'] - 0.35, 0) * 1.1
    color = color + (np.array([168, 78, 36], np.float32) - color) * min(red, 0.75)
    gray = min(max(v['hair_gray'], 0) * 1.3, 0.9)
    return color + (np.array([176, 174, 172], np.float32) - color) * gray


def iris(v: Parameters) -> np.ndarray:
    """Color of the irises of an identity."""
    color = _interpolate(_IRIS, v['iris_tone'])
    return _clamped(color + np.array([-14, 8, 2], np.float32) * v['iris_hue'] * (v['iris_tone'] > 0))


def lips(v: Parameters, skin: np.ndarray) -> np.ndarray:
    """Color of the lips of an identity with skin of the color `skin`, with lipstick if `makeup` is above 0.1."""
    natural = skin * np.array([0.86, 0.62, 0.62], np.float32) + np.array([12, 4, 6], np.float32)
    natural = natural + np.array([6, -8, -4], np.float32) * v['lip_color']
    lipstick = np.array([176, 40, 54], np.float32) + np.array([14, 16, 34], np.float32) * v['lip_color']
    return _clamped(natural + (lipstick - natural) * min(max(v['makeup'] - 0.1, 0), 0.6))


@lru_cache(maxsize=1)
def _patterns() -> np.ndarray:
    """(4096,60) float32 in [0,1): parameters of the patterns of backgrounds."""
    return np.random.Generator(np.random.PCG64(21)).random((4096, 60), np.float32)


@lru_cache(maxsize=1)
def noise() -> np.ndarray:
    """(256,256) float32 noise of mean 0 and standard deviation 1, correlated over about 2 texels, periodic."""
    grain = np.random.Generator(np.random.PCG64(20)).normal(size=(256, 256)).astype(np.float32)
    smooth = cv2.GaussianBlur(cv2.copyMakeBorder(grain, 8, 8, 8, 8, cv2.BORDER_WRAP), (0, 0), 1.2)[8:-8, 8:-8]
    return np.ascontiguousarray(smooth / smooth.std())


@lru_cache(maxsize=1)
def tiled_noise() -> np.ndarray:
    """(768,768) float32: 3 x 3 tiles of `noise`; look-ups are faster without wrapping."""
    return np.tile(noise(), (3, 3))


def background(a: Parameters, side: int) -> np.ndarray:
    """(side,side,3) uint8: a gradient with soft shapes, out of focus, from the attributes."""
    patterns = _patterns()
    u = patterns[int(a['background_pattern'] * 2 ** 24) % len(patterns)]
    u, blotch_values = u[:24].tolist(), u[24:]
    hue, saturation, value, contrast = [a['background_' + n] for n in ('hue', 'saturation', 'value', 'contrast')]
    value = 0.15 + 0.8 * value
    near = hsv(hue, saturation, value)
    far = hsv(hue - 0.12 + 0.24 * u[0], saturation * (0.4 + 0.9 * u[1]), value * (1 - 0.65 * contrast))
    ramp = 0.5 + _AXIS * (0.36 * math.cos(7 * u[2])) + _AXIS[:, None] * (0.36 * math.sin(7 * u[2]))
    image = near[:, None, None] + (far - near)[:, None, None] * ramp  # (3,32,32)
    kind = int(5 * u[3])  # 0: the gradient alone
    if kind == 1:  # blotches of a plastered wall
        blotches = cv2.resize(3.4 * blotch_values.reshape(6, 6) - 1.7, _GRID, interpolation=cv2.INTER_CUBIC)
        image *= 1 + (0.16 * contrast) * blotches
    elif kind == 2:  # bokeh
        spots = np.zeros((_BACKGROUND_SIDE, _BACKGROUND_SIDE), np.float32)
        for x, y, r in zip(u[4:11], u[11:18], u[17:24]):
            cv2.circle(spots, (int(512 * x), int(512 * y)), int(16 * (2 + 3 * r)), 0.25 + 0.35 * r, -1, shift=4)
        image += (hsv(hue + 0.3 * u[4] - 0.15, saturation, value + 0.25 * contrast)[:, None, None] - image) * spots
    elif kind == 3:  # panels, vertical or horizontal
        edges = np.cumsum([3 + int(6 * w) for w in u[4:14]]).tolist()
        for start, end, w in zip([0, *edges], edges, u[14:]):
            image[..., start:end] *= 1 + contrast * (0.6 * w - 0.3)
        if u[4] < 0.4:
            image = image.transpose(0, 2, 1)
    elif kind == 4:  # a horizon
        edge = 8 + int(18 * u[4])
        image[:, edge:] = image[:, edge:] * 0.45 + 0.5 * hsv(hue + 0.2 + 0.3 * u[5], saturation, value * 0.75)[:, None, None]
    image = np.asarray(cv2.merge([*image]))
    if kind:
        image = blur(image, 0.4 + 1.4 * u[18])
    image = np.minimum(image, 255).astype(np.uint8)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC))
