"""Colours and textures: RGB in 0..255 as float32."""
import colorsys
from functools import lru_cache

import cv2
import numpy as np

_SKIN = np.array([(252, 226, 208), (243, 205, 178), (228, 180, 146), (198, 143, 106), (150, 101, 72), (104, 68, 50)], np.float32)
_HAIR = np.array([(24, 20, 20), (46, 31, 24), (84, 56, 38), (128, 90, 56), (184, 144, 90), (224, 196, 146)], np.float32)
_IRIS = np.array([(44, 26, 18), (82, 50, 28), (124, 88, 46), (110, 122, 84), (96, 134, 158), (150, 180, 200)], np.float32)


def _along(table: np.ndarray, value: float) -> np.ndarray:
    """Linear interpolation in a table for a value in [-1, 1]."""
    at = (min(max(value, -1), 1) + 1) / 2 * (len(table) - 1)
    low = min(int(at), len(table) - 2)
    return table[low] + (table[low + 1] - table[low]) * np.float32(at - low)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32) * 255


def skin(v: dict) -> np.ndarray:
    return np.clip(_along(_SKIN, v['skin_tone']) + np.array([4, 1.5, -7], np.float32) * v['skin_warmth'], 0, 255)


def hair(v: dict) -> np.ndarray:
    colour = _along(_HAIR, v['hair_tone'])
    red = max(v['hair_red'] - 0.35, 0) * 1.1
    colour = colour + (np.array([168, 78, 36], np.float32) - colour) * min(red, 0.75)
    grey = min(max(v['hair_grey'], 0) * 1.3, 0.9)
    return colour + (np.array([176, 174, 172], np.float32) - colour) * grey


def iris(v: dict) -> np.ndarray:
    colour = _along(_IRIS, v['iris_tone'])
    return np.clip(colour + np.array([-14, 8, 2], np.float32) * v['iris_hue'] * (v['iris_tone'] > 0), 0, 255)


def lips(v: dict) -> np.ndarray:
    base = skin(v)
    natural = base * np.array([0.86, 0.62, 0.62], np.float32) + np.array([12, 4, 6], np.float32)
    natural = natural + np.array([6, -8, -4], np.float32) * v['lip_colour']
    painted = np.array([176, 40, 54], np.float32) + np.array([14, 16, 34], np.float32) * v['lip_colour']
    return np.clip(natural + (painted - natural) * min(max(v['makeup'] - 0.1, 0), 0.6), 0, 255)


@lru_cache(maxsize=1)
def noise() -> np.ndarray:
    """(256,256) float32 of mean 0 and deviation 1, smooth over about 2 texels; tiles."""
    grain = np.random.Generator(np.random.PCG64(20)).normal(size=(256, 256)).astype(np.float32)
    grain = cv2.GaussianBlur(cv2.copyMakeBorder(grain, 8, 8, 8, 8, cv2.BORDER_WRAP), (0, 0), 1.2)[8:-8, 8:-8]
    return np.ascontiguousarray(grain / grain.std())


def backdrop(a: dict, side: int) -> np.ndarray:
    """(side,side,3) uint8: a gradient with soft shapes, out of focus as behind a portrait."""
    rng = np.random.Generator(np.random.PCG64(int(a['background_pattern'] * 2 ** 24)))
    hue, saturation, value, contrast = [a['background_' + n] for n in ('hue', 'saturation', 'value', 'contrast')]
    value = 0.15 + 0.8 * value
    near = hsv(hue, saturation, value)
    far = hsv(hue + rng.uniform(-0.12, 0.12), saturation * rng.uniform(0.4, 1.3), value * (1 - 0.65 * contrast))
    axis = np.linspace(-1, 1, 32, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + 0.36 * (np.cos(angle) * axis[None] + np.sin(angle) * axis[:, None])
    picture = near + (far - near) * ramp[..., None].astype(np.float32)
    kind = rng.integers(0, 5)
    if kind == 1:  # a plastered wall
        blotches = cv2.resize(rng.normal(size=(6, 6)).astype(np.float32), (32, 32), interpolation=cv2.INTER_CUBIC)
        picture *= 1 + np.float32(0.16 * contrast) * blotches[..., None]
    elif kind == 2:  # lights out of focus
        for _ in range(9):
            spot = hsv(hue + rng.uniform(-0.2, 0.2), saturation, value + 0.25 * contrast)
            layer = cv2.circle(picture.copy(), rng.integers(0, 32 * 16, 2).tolist(), int(16 * rng.uniform(2, 5)), spot.tolist(), -1, shift=4)
            picture += (layer - picture) * np.float32(0.45)
    elif kind == 3:  # panels, shelves, windows
        at = 0
        while at < 32:
            wide = int(rng.integers(3, 9))
            picture[:, at:at + wide] *= 1 + 0.5 * contrast * rng.uniform(-0.6, 0.6)
            at += wide
        if rng.random() < 0.4:
            picture = np.ascontiguousarray(picture.transpose(1, 0, 2))
    elif kind == 4:  # a horizon
        edge = int(rng.integers(8, 26))
        picture[edge:] = picture[edge:] * 0.45 + 0.5 * hsv(hue + rng.uniform(0.2, 0.5), saturation, value * 0.75)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.4 + rng.uniform(0, 1.4) * (kind != 0))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
