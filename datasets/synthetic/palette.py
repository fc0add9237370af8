"""Colors and textures: RGB in 0..255 as float32."""
import colorsys
import math
from functools import lru_cache

import cv2
import numpy as np

from datasets.synthetic.canvas import blur

_SKIN = np.array([(243, 214, 196), (236, 196, 170), (222, 174, 142), (198, 143, 106), (150, 101, 72), (104, 68, 50)], np.float32)
_HAIR = np.array([(24, 20, 20), (46, 31, 24), (84, 56, 38), (128, 90, 56), (184, 144, 90), (224, 196, 146)], np.float32)
_COARSE = 32  # side of a backdrop before it is enlarged
_AXIS = np.linspace(-1, 1, _COARSE, dtype=np.float32)
_IRIS = np.array([(44, 26, 18), (82, 50, 28), (124, 88, 46), (110, 122, 84), (96, 134, 158), (150, 180, 200)], np.float32)


def _along(table: np.ndarray, value: float) -> np.ndarray:
    """Linear interpolation in a table for a value in [-1, 1]."""
    at = (min(max(value, -1), 1) + 1) / 2 * (len(table) - 1)
    low = min(int(at), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * np.float32(at - low)


def _limited(color: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(color, 0), 255)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32) * 255


def skin(v: dict) -> np.ndarray:
    return _limited(_along(_SKIN, v['skin_tone']) + np.array([4, 1.5, -7], np.float32) * v['skin_warmth'])


def hair(v: dict) -> np.ndarray:
    color = _along(_HAIR, v['hair_tone'])
    red = max(v['hair_red'] - 0.35, 0) * 1.1
    color = color + (np.array([168, 78, 36], np.float32) - color) * min(red, 0.75)
    gray = min(max(v['hair_gray'], 0) * 1.3, 0.9)
    return color + (np.array([176, 174, 172], np.float32) - color) * gray


def iris(v: dict) -> np.ndarray:
    color = _along(_IRIS, v['iris_tone'])
    return _limited(color + np.array([-14, 8, 2], np.float32) * v['iris_hue'] * (v['iris_tone'] > 0))


def lips(v: dict, skin: np.ndarray) -> np.ndarray:
    natural = skin * np.array([0.86, 0.62, 0.62], np.float32) + np.array([12, 4, 6], np.float32)
    natural = natural + np.array([6, -8, -4], np.float32) * v['lip_color']
    painted = np.array([176, 40, 54], np.float32) + np.array([14, 16, 34], np.float32) * v['lip_color']
    return _limited(natural + (painted - natural) * min(max(v['makeup'] - 0.1, 0), 0.6))


@lru_cache(maxsize=1)
def _patterns() -> np.ndarray:
    """(4096,60): numbers in 0..1 that backdrops are made of."""
    return np.random.Generator(np.random.PCG64(21)).random((4096, 60), np.float32)


@lru_cache(maxsize=1)
def noise() -> np.ndarray:
    """(256,256) float32 of mean 0 and deviation 1, smooth over about 2 texels; tiles."""
    grain = np.random.Generator(np.random.PCG64(20)).normal(size=(256, 256)).astype(np.float32)
    grain = cv2.GaussianBlur(cv2.copyMakeBorder(grain, 8, 8, 8, 8, cv2.BORDER_WRAP), (0, 0), 1.2)[8:-8, 8:-8]
    return np.ascontiguousarray(grain / grain.std())


@lru_cache(maxsize=1)
def wide_noise() -> np.ndarray:
    """(768,768) float32: three times three tiles of it, as looking up is quicker where nothing is wrapped."""
    return np.tile(noise(), (3, 3))


def backdrop(a: dict, side: int) -> np.ndarray:
    """(side,side,3) uint8: a gradient with soft shapes, out of focus as behind a portrait."""
    patterns = _patterns()
    u = patterns[int(a['background_pattern'] * 2 ** 24) % len(patterns)]
    u, walls = u[:24].tolist(), u[24:]
    hue, saturation, value, contrast = [a['background_' + n] for n in ('hue', 'saturation', 'value', 'contrast')]
    value = 0.15 + 0.8 * value
    near = hsv(hue, saturation, value)
    far = hsv(hue - 0.12 + 0.24 * u[0], saturation * (0.4 + 0.9 * u[1]), value * (1 - 0.65 * contrast))
    ramp = 0.5 + _AXIS * (0.36 * math.cos(7 * u[2])) + _AXIS[:, None] * (0.36 * math.sin(7 * u[2]))
    image = near[:, None, None] + (far - near)[:, None, None] * ramp  # (3,32,32)
    kind = int(5 * u[3])
    if kind == 1:  # a plastered wall
        blotches = cv2.resize(3.4 * walls.reshape(6, 6) - 1.7, (_COARSE, _COARSE), interpolation=cv2.INTER_CUBIC)
        image *= 1 + (0.16 * contrast) * blotches
    elif kind == 2:  # lights out of focus
        spots = np.zeros((_COARSE, _COARSE), np.float32)
        for x, y, r in zip(u[4:11], u[11:18], u[17:24]):
            cv2.circle(spots, (int(512 * x), int(512 * y)), int(16 * (2 + 3 * r)), 0.25 + 0.35 * r, -1, shift=4)
        image += (hsv(hue + 0.3 * u[4] - 0.15, saturation, value + 0.25 * contrast)[:, None, None] - image) * spots
    elif kind == 3:  # panels, shelves, windows
        edges = np.cumsum([3 + int(6 * w) for w in u[4:14]]).tolist()
        for start, end, w in zip([0, *edges], edges, u[14:]):
            image[..., start:end] *= 1 + contrast * (0.6 * w - 0.3)
        if u[4] < 0.4:
            image = image.transpose(0, 2, 1)
    elif kind == 4:  # a horizon
        edge = 8 + int(18 * u[4])
        image[:, edge:] = image[:, edge:] * 0.45 + 0.5 * hsv(hue + 0.2 + 0.3 * u[5], saturation, value * 0.75)[:, None, None]
    image = cv2.merge([*image])
    if kind:
        image = blur(image, 0.4 + 1.4 * u[18])
    image = np.minimum(image, 255).astype(np.uint8)
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
