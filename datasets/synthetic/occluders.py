"""Synthetic occluders of aligned faces, rendered with their masks, for the training and evaluation of face parsers.

Lengths are in units of the template `face`, 128 per side, for images of any size.
"""
import string
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import ArrayLike

from datasets.synthetic.canvas import UNITS
from datasets.synthetic.palette import hsv, noise
from models.geometry import template

_SAMPLES_PER_PIXEL = 2  # along each axis
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_PLAIN)
_POINTS = np.array(template('face').points, np.float32)  # (5,2): eyes, nose, corners of the mouth


class _Layer:
    """An RGBA layer over an image of `size` pixels per side: `color` (S,S,3) float32 in 0..255 and coverage `alpha` (S,S) uint8
    with S = _SAMPLES_PER_PIXEL * size. Points and lengths are in units; colors are RGB in 0..255."""

    def __init__(self, size: int, rng: np.random.Generator, color: ArrayLike):
        self.rng, self.side = rng, _SAMPLES_PER_PIXEL * size
        self.scale = self.side / UNITS
        self.color = np.full((self.side, self.side, 3), color, np.float32)
        self.alpha = np.zeros((self.side, self.side), np.uint8)

    def pixels(self, points: ArrayLike) -> np.ndarray:
        """Points in units -> int32 samples."""
        return np.rint(np.asarray(points, np.float32) * self.scale).astype(np.int32)

    def width(self, units: float) -> int:
        """Width of a stroke in samples, at least 1."""
        return max(1, round(units * self.scale))

    def add(self, rasterize: Callable[[np.ndarray], object], color: ArrayLike | None = None) -> np.ndarray:
        """Add a shape and return its mask (S,S) uint8. `rasterize` writes 255 into a zero mask. color: None keeps the color of
        the layer."""
        mask = np.zeros_like(self.alpha)
        rasterize(mask)
        np.maximum(self.alpha, mask, out=self.alpha)
        if color is not None:
            self.color[mask > 0] = color
        return mask

    def polygon(self, points: ArrayLike, color: ArrayLike | None = None) -> np.ndarray:
        """Add a filled polygon (N,2) and return its mask."""
        return self.add(lambda mask: cv2.fillPoly(mask, [self.pixels(points)], 255), color)

    def stroke(self, points: ArrayLike, width: float, color: ArrayLike | None = None) -> np.ndarray:
        """Add an open polyline (N,2) and return its mask."""
        return self.add(lambda mask: cv2.polylines(mask, [self.pixels(points)], False, 255, self.width(width)), color)

    def ellipse(self, center: ArrayLike, axes: ArrayLike, angle: float, color: ArrayLike | None = None) -> np.ndarray:
        """Add a filled ellipse with half axes (2,), rotated by `angle` in degrees, and return its mask."""
        (x, y), (a, b) = self.pixels(center).tolist(), self.pixels(axes).tolist()
        return self.add(lambda mask: cv2.ellipse(mask, (x, y), (a, b), angle, 0, 360, 255, cv2.FILLED), color)

    def shade(self, contrast: float, grain: float) -> None:
        """Multiply the color by a linear gradient from 1 - contrast to 1 + contrast in a random direction, and by noise of
        standard deviation `grain`."""
        angle, axis = self.rng.uniform(0, 2 * np.pi), np.linspace(-1, 1, self.side, dtype=np.float32)
        ramp = 1 + contrast * (np.cos(angle) * axis + np.sin(angle) * axis[:, None])
        texture = cv2.resize(noise(), (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        self.color *= (ramp * (1 + grain * np.roll(texture, int(self.rng.integers(256)), 1)))[..., None]

    def shade_rim(self, mask: np.ndarray, strength: float, radius: float) -> None:
        """Darken a mask toward its outline over `radius` units, by the fraction `strength` at the outline."""
        depth = np.minimum(cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 3) / (radius * self.scale), 1)
        self.color[mask > 0] *= (1 - strength * (1 - depth[mask > 0]) ** 2)[:, None]


def _sample_color(rng: np.random.Generator) -> np.ndarray:
    """A random color, gray with probability 1/2."""
    return hsv(rng.random(), 0 if rng.random() < 0.5 else rng.random(), rng.uniform(0.03, 1))


def _sample_border_point(rng: np.random.Generator) -> np.ndarray:
    """(2,) a point on the border of the template, mostly on its lower half."""
    along, side = rng.uniform(0, UNITS), rng.choice(4, p=(0.5, 0.22, 0.22, 0.06))
    return np.array([(along, UNITS), (0, along), (UNITS, along), (along, 0)][side], np.float32)


def _sample_face_point(rng: np.random.Generator) -> np.ndarray:
    """(2,) a point on the face, mostly on its lower half."""
    return np.array([rng.uniform(38, 90), rng.uniform(30, 118) if rng.random() < 0.3 else rng.uniform(70, 118)], np.float32)


def _hand(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """Forearm, palm and five fingers that bend once, in the color of the skin with probability 0.7."""
    color = skin * rng.uniform(0.8, 1.15) + rng.normal(0, 8, 3) if rng.random() < 0.7 else _sample_color(rng)
    layer = _Layer(size, rng, color)
    tip, wrist = _sample_face_point(rng), _sample_border_point(rng)
    forward = (tip - wrist) / max(float(np.linalg.norm(tip - wrist)), 1)
    lateral, scale, relief = np.array([-forward[1], forward[0]]), rng.uniform(0.75, 1.4), max(rng.uniform(-0.3, 0.6), 0)
    palm = tip - forward * 14 * scale
    angle = float(np.degrees(np.arctan2(forward[1], forward[0])))
    layer.shade_rim(layer.stroke([wrist - 40 * forward, palm], 22 * scale), relief, 6)
    layer.shade_rim(layer.ellipse(palm, (19 * scale, 16 * scale), angle), relief, 6)
    spread, bend = rng.uniform(-0.05, 0.28), rng.uniform(-0.5, 0.5)
    for finger in rng.permutation(5):
        is_thumb = finger == 4
        offset = (finger - 1.5) * 8.2 * scale
        turn = (finger - 1.5) * spread + (1.0 if is_thumb else 0)
        base = palm + lateral * offset * (0.75 if is_thumb else 1) + forward * (0 if is_thumb else 9 * scale)
        length = scale * (18, 23, 22, 16, 16)[finger] * rng.uniform(0.5, 1.15)
        directions = [np.cos(turn + b) * forward + np.sin(turn + b) * lateral for b in (0, bend)]
        joint = base + directions[0] * length * 0.55
        mask = layer.stroke([base, joint, joint + directions[1] * length * 0.5], rng.uniform(7, 8.6) * scale)
        layer.shade_rim(mask, relief, 3.5 * scale)
    layer.shade(rng.uniform(0, 0.3), rng.uniform(0, 0.04))
    return layer


def _microphone(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """An elliptical head in front of the mouth, with a mesh with probability 0.6, on a handle."""
    color = _sample_color(rng) * rng.uniform(0.1, 1) if rng.random() < 0.7 else np.full(3, rng.uniform(10, 50))
    layer = _Layer(size, rng, color)
    center = points[3:].mean(0) + rng.normal(0, (9, 8)) + (0, 6)
    end, radius = _sample_border_point(rng), rng.uniform(8, 20)
    end[1] = max(end[1], UNITS * 0.8)
    layer.shade_rim(layer.stroke([center, end], radius * rng.uniform(0.5, 1.2), _sample_color(rng) * 0.5), 0.5, 4)
    mask = layer.ellipse(center, (radius, radius * rng.uniform(1, 1.4)), rng.uniform(0, 180), color)
    step = layer.width(rng.uniform(1, 2.5)) + 1
    mesh = (np.indices(mask.shape) % step == 0).any(0) & (mask > 0) & (rng.random() < 0.6)
    layer.color[mesh] *= rng.uniform(0.5, 1.6)
    layer.shade_rim(mask, rng.uniform(0.2, 0.7), radius)
    layer.shade(0.3, rng.uniform(0.02, 0.15))
    return layer


def _glasses_outlines(points: np.ndarray, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Polygons (28,2) of two lenses, and polylines (2,2) of the bridge and the two temples."""
    between_eyes = points[1] - points[0]
    half, angles = float(np.linalg.norm(between_eyes)) / 2, np.linspace(0, 2 * np.pi, 28)
    across = between_eyes / max(2 * half, 1)
    down = np.array([-across[1], across[0]])
    power = 2 / rng.uniform(2, 4)
    c, s = (np.sign(w) * np.abs(w) ** power for w in (np.cos(angles), np.sin(angles)))
    half_width, half_height = half * rng.uniform(0.68, 0.92), half * rng.uniform(0.48, 0.85)
    drop = half * rng.uniform(-0.05, 0.3)
    lenses = [eye + down * drop + np.outer(half_width * c, across) + np.outer(half_height * s, down) for eye in points[:2]]
    bridge = np.array([points[0] + across * half_width, points[1] - across * half_width])
    temples = [np.array([points[0] - across * half_width, points[0] - across * (half_width + 1.1 * half) - down]),
               np.array([points[1] + across * half_width, points[1] + across * (half_width + 1.1 * half) - down])]
    return lenses, [bridge, *temples]


def _closed(outline: np.ndarray) -> np.ndarray:
    return np.concatenate([outline, outline[:1]])


def _sunglasses(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """Dark lenses with a vertical gradient, a reflection with probability 1/2, and a frame."""
    dark = _sample_color(rng) * rng.uniform(0.05, 0.35)
    layer = _Layer(size, rng, dark)
    lenses, rods = _glasses_outlines(points, rng)
    for lens in lenses:
        mask = layer.polygon(lens, dark) > 0
        y = np.linspace(-1, 1, layer.side, dtype=np.float32)[:, None].repeat(layer.side, 1)
        layer.color[mask] += (rng.uniform(0, 60) * (y + 0.4)[mask].clip(-0.5, 1))[:, None]
    if rng.random() < 0.5:
        alpha = layer.alpha.copy()
        layer.stroke([rng.uniform(20, 108, 2) * (1, 0.45), rng.uniform(20, 108, 2) * (1, 0.45)], rng.uniform(1, 5),
                     dark + rng.uniform(20, 110))
        layer.alpha = alpha
    frame_color, width = _sample_color(rng) * rng.uniform(0.1, 0.8), rng.uniform(1, 4)
    for line in [_closed(lens) for lens in lenses] + rods:
        layer.stroke(line, width, frame_color)
    return layer


def _glasses(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """A frame with clear lenses."""
    layer = _Layer(size, rng, _sample_color(rng) * rng.uniform(0.1, 0.8))
    lenses, rods = _glasses_outlines(points, rng)
    for line in [_closed(lens) for lens in lenses] + rods:
        layer.stroke(line, rng.uniform(1.2, 3.5))
    return layer


def _lettering(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """One to four rows of random characters, with an outline with probability 0.4."""
    is_bright = rng.random() < 0.75
    color = np.full(3, rng.uniform(225, 255) if is_bright else rng.uniform(0, 40))
    color = color if rng.random() < 0.7 else hsv(rng.random(), 0.9, 1)
    layer = _Layer(size, rng, color)
    font, scale = _FONTS[rng.integers(len(_FONTS))], layer.side / 256 * rng.uniform(0.5, 1.3)
    thickness, y, x = max(1, round(1.6 * scale)), rng.uniform(0.25, 0.85), rng.uniform(-0.1, 0.25)
    characters = list(string.ascii_letters + string.digits + '    ')
    is_outlined = rng.random() < 0.4
    for row in range(int(rng.integers(1, 5))):
        text = ''.join(rng.choice(characters, int(rng.integers(6, 22))))
        origin = round(x * layer.side), round(y * layer.side + row * 34 * scale)
        for extra, fill in ((2, 255 - color), (0, color))[0 if is_outlined else 1:]:
            layer.add(partial(cv2.putText, text=text, org=origin, fontFace=font, fontScale=scale, color=255,
                              thickness=thickness + extra), fill)
    return layer


def _stick(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """A straight rod from the border to the face or across it."""
    color = _sample_color(rng)
    layer = _Layer(size, rng, color)
    width, point = rng.uniform(2.5, 9), _sample_face_point(rng)
    start = _sample_border_point(rng)
    end = point + (point - start) * rng.choice((0.1, 3))
    layer.shade_rim(layer.stroke([start, end], width, color), 0.5, width / 2)
    layer.shade(0.3, 0.05)
    return layer


def _mask(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """A face mask over nose and mouth with folds and ear loops."""
    color = hsv(rng.uniform(0.5, 0.65), rng.uniform(0, 0.5), rng.uniform(0.6, 1)) if rng.random() < 0.6 else _sample_color(rng)
    layer = _Layer(size, rng, color)
    left, right, mouth = points[0], points[1], points[3:].mean(0)
    across, down = (right - left) / 2, (mouth - (left + right) / 2)
    top, wide, low = rng.uniform(0.35, 0.75), rng.uniform(1.25, 1.6), rng.uniform(1.65, 1.95)
    center = (left + right) / 2
    corners = [(-wide, top + 0.25), (-0.5, top), (0, top - 0.1), (0.5, top), (wide, top + 0.25), (wide * 0.93, 1.2), (0.55, low),
               (0, low + 0.1), (-0.55, low), (-wide * 0.93, 1.2)]
    mask = layer.polygon([center + x * across + y * down for x, y in corners])
    for fold in np.linspace(top + 0.3, 1.5, int(rng.integers(1, 5))):
        ends = [center - wide * 0.9 * across + fold * down, center + wide * 0.9 * across + fold * down]
        layer.color[layer.stroke(ends, 0.8) > 0] *= 0.85
    layer.alpha = mask
    for side in (-1, 1):
        layer.stroke([center + side * wide * across + (top + 0.3) * down, center + side * (wide + 0.6) * across], 1.4)
    layer.shade_rim(mask, 0.25, 10)
    layer.shade(0.15, 0.03)
    return layer


def _thing(size: int, rng: np.random.Generator, points: np.ndarray, skin: np.ndarray) -> _Layer:
    """A random polygon or ellipse, on a handle and with stripes with probability 1/2 each."""
    layer = _Layer(size, rng, _sample_color(rng))
    count, center, radius = int(rng.integers(3, 9)), _sample_face_point(rng), rng.uniform(8, 30)
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    corners = center + radius * np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.6, 1.4, (count, 1))
    mask = layer.ellipse(center, radius * rng.uniform(0.5, 1, 2), rng.uniform(0, 180)) if count > 6 else layer.polygon(corners)
    if rng.random() < 0.5:
        layer.stroke([center, center + (_sample_border_point(rng) - center) * 1.5], rng.uniform(4, 16), _sample_color(rng))
    if rng.random() < 0.5:
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14) * layer.scale
        y, x = np.indices(layer.alpha.shape)
        layer.color[np.sin((x * np.cos(angle) + y * np.sin(angle)) / period) > rng.uniform(-0.5, 0.8)] = _sample_color(rng)
    layer.shade_rim(mask, rng.uniform(0, 0.6), radius / 2)
    layer.shade(rng.uniform(0, 0.4), rng.uniform(0, 0.2))
    return layer


# kind -> function of the size of the image in pixels, a generator, landmarks (5,2) in units and the color of the skin
OCCLUDERS: dict[str, Callable[[int, np.random.Generator, np.ndarray, np.ndarray], _Layer]] = {
    'hand': _hand, 'microphone': _microphone, 'sunglasses': _sunglasses, 'glasses': _glasses, 'lettering': _lettering,
    'stick': _stick, 'mask': _mask, 'thing': _thing}


def occlude(image: np.ndarray, kind: str, rng: np.random.Generator,
            points: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Composite a random occluder over an aligned face.

    Args:
        image: (S,S,3) uint8 RGB, aligned to the template `face`.
        kind: name in OCCLUDERS.
        rng: source of all randomness.
        points: landmarks (5,2) in pixels; None for those of the template with a random offset.

    Returns the image (S,S,3) uint8 and a mask (S,S) bool of the pixels that are covered by at least half. Raises ValueError for
    an unknown kind.
    """
    if kind not in OCCLUDERS:
        raise ValueError(f'unknown occluder {kind!r}; known: {", ".join(OCCLUDERS)}')
    size = len(image)
    points = _POINTS + rng.normal(0, 1.5, 2) if points is None else (np.asarray(points, np.float32) + 0.5) * (UNITS / size)
    cheeks = image[round(0.55 * size):round(0.65 * size), round(0.35 * size):round(0.65 * size)].reshape(-1, 3)
    layer = OCCLUDERS[kind](size, rng, points.astype(np.float32), np.median(cheeks, 0))
    alpha = cv2.resize(layer.alpha, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    color = cv2.resize(layer.color.clip(0, 255), (size, size), interpolation=cv2.INTER_AREA)
    sigma = rng.uniform(0, 0.008) * size
    blurred = cv2.GaussianBlur(alpha, (0, 0), sigma) if sigma > 0.2 else alpha
    return (image + blurred[..., None] * (color - image)).round().clip(0, 255).astype(np.uint8), alpha >= 0.5
