"""Objects in front of aligned faces, rendered with their masks: to train and to measure what recognizes occlusion.

Lengths are in units of the template `face`, 128 per side, whatever the size of the image in pixels.
"""
import string
from functools import partial

import cv2
import numpy as np

from datasets.synthetic.canvas import UNITS
from datasets.synthetic.palette import hsv, noise
from models.geometry import template

_SAMPLES_PER_PIXEL = 2  # along each axis
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_PLAIN)
_POINTS = np.array(template('face').points, np.float32)  # (5,2): eyes, nose, corners of the mouth


class _Layer:
    """An RGBA layer over an image of `size` pixels: `color` (S,S,3) float32 in 0..255 and coverage `alpha` (S,S) uint8, both at
    _SAMPLES_PER_PIXEL. Points are given in units."""

    def __init__(self, size: int, rng: np.random.Generator, color):
        self.rng, self.side = rng, _SAMPLES_PER_PIXEL * size
        self.scale = self.side / UNITS
        self.color = np.full((self.side, self.side, 3), color, np.float32)
        self.alpha = np.zeros((self.side, self.side), np.uint8)

    def pixels(self, points) -> np.ndarray:
        return np.rint(np.asarray(points, np.float32) * self.scale).astype(np.int32)

    def width(self, units: float) -> int:
        return max(1, round(units * self.scale))

    def add(self, draw, color=None) -> np.ndarray:
        """`draw` paints 255 into a (S,S) uint8 mask, which joins the coverage and gets the color, if one is given. Returns the
        mask."""
        mask = np.zeros_like(self.alpha)
        draw(mask)
        np.maximum(self.alpha, mask, out=self.alpha)
        if color is not None:
            self.color[mask > 0] = color
        return mask

    def polygon(self, points, color=None) -> np.ndarray:
        return self.add(lambda mask: cv2.fillPoly(mask, [self.pixels(points)], 255), color)

    def line(self, points, width: float, color=None) -> np.ndarray:
        return self.add(lambda mask: cv2.polylines(mask, [self.pixels(points)], False, 255, self.width(width)), color)

    def ellipse(self, center, axes, angle: float, color=None) -> np.ndarray:
        center, axes = (tuple(map(int, self.pixels(part))) for part in (center, axes))
        return self.add(lambda mask: cv2.ellipse(mask, center, axes, angle, 0, 360, 255, cv2.FILLED), color)

    def shade(self, depth: float, grain: float) -> None:
        """Brightness that falls off in one direction by up to the share `depth`, and noise of the share `grain`."""
        angle, axis = self.rng.uniform(0, 2 * np.pi), np.linspace(-1, 1, self.side, dtype=np.float32)
        ramp = 1 + depth * (np.cos(angle) * axis + np.sin(angle) * axis[:, None])
        texture = cv2.resize(noise(), (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        self.color *= (ramp * (1 + grain * np.roll(texture, int(self.rng.integers(256)), 1)))[..., None]

    def rounded(self, mask: np.ndarray, strength: float, radius: float) -> None:
        """Darken the mask towards its outline, over `radius` units, as on a body that is lit from the viewer."""
        depth = np.minimum(cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 3) / (radius * self.scale), 1)
        self.color[mask > 0] *= (1 - strength * (1 - depth[mask > 0]) ** 2)[:, None]


def _color(rng: np.random.Generator) -> np.ndarray:
    """Any, half of the time without hue."""
    return hsv(rng.random(), 0 if rng.random() < 0.5 else rng.random(), rng.uniform(0.03, 1))


def _edge(rng: np.random.Generator) -> np.ndarray:
    """A point on the border of the template, mostly below or beside the face."""
    along, side = rng.uniform(0, UNITS), rng.choice(4, p=(0.5, 0.22, 0.22, 0.06))
    return np.array([(along, UNITS), (0, along), (UNITS, along), (along, 0)][side], np.float32)


def _spot(rng: np.random.Generator) -> np.ndarray:
    """A point on the face, mostly on its lower half."""
    return np.array([rng.uniform(38, 90), rng.uniform(30, 118) if rng.random() < 0.3 else rng.uniform(70, 118)], np.float32)


def _hand(size, rng, points, skin) -> _Layer:
    skin = skin * rng.uniform(0.8, 1.15) + rng.normal(0, 8, 3) if rng.random() < 0.7 else _color(rng)
    layer = _Layer(size, rng, skin)
    tip, wrist = _spot(rng), _edge(rng)
    ahead = (tip - wrist) / max(float(np.linalg.norm(tip - wrist)), 1)
    aside, grow, relief = np.array([-ahead[1], ahead[0]]), rng.uniform(0.75, 1.4), max(rng.uniform(-0.3, 0.6), 0)
    palm = tip - ahead * 14 * grow
    angle = float(np.degrees(np.arctan2(ahead[1], ahead[0])))
    layer.rounded(layer.line([wrist - 40 * ahead, palm], 22 * grow), relief, 6)
    layer.rounded(layer.ellipse(palm, (19 * grow, 16 * grow), angle), relief, 6)
    spread, bend = rng.uniform(-0.05, 0.28), rng.uniform(-0.5, 0.5)
    for number in rng.permutation(5):
        at = (number - 1.5) * 8.2 * grow
        turn = (number - 1.5) * spread + (1.0 if number == 4 else 0)
        base = palm + aside * at * (0.75 if number == 4 else 1) + ahead * (0 if number == 4 else 9 * grow)
        length = grow * (18, 23, 22, 16, 16)[number] * rng.uniform(0.5, 1.15)
        way = [np.cos(turn + b) * ahead + np.sin(turn + b) * aside for b in (0, bend)]
        joint = base + way[0] * length * 0.55
        finger = layer.line([base, joint, joint + way[1] * length * 0.5], rng.uniform(7, 8.6) * grow)
        layer.rounded(finger, relief, 3.5 * grow)
    layer.shade(rng.uniform(0, 0.3), rng.uniform(0, 0.04))
    return layer


def _microphone(size, rng, points, skin) -> _Layer:
    color = _color(rng) * rng.uniform(0.1, 1) if rng.random() < 0.7 else np.full(3, rng.uniform(10, 50))
    layer = _Layer(size, rng, color)
    head, end, radius = points[3:].mean(0) + rng.normal(0, (9, 8)) + (0, 6), _edge(rng), rng.uniform(8, 20)
    end[1] = max(end[1], UNITS * 0.8)
    layer.rounded(layer.line([head, end], radius * rng.uniform(0.5, 1.2), _color(rng) * 0.5), 0.5, 4)
    mask = layer.ellipse(head, (radius, radius * rng.uniform(1, 1.4)), rng.uniform(0, 180), color)
    step = layer.width(rng.uniform(1, 2.5)) + 1
    mesh = (np.indices(mask.shape) % step == 0).any(0) & (mask > 0) & (rng.random() < 0.6)
    layer.color[mesh] *= rng.uniform(0.5, 1.6)
    layer.rounded(mask, rng.uniform(0.2, 0.7), radius)
    layer.shade(0.3, rng.uniform(0.02, 0.15))
    return layer


def _frames(points, rng) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outlines of two lenses, and the lines of bridge and temples."""
    across = points[1] - points[0]
    half, turn = float(np.linalg.norm(across)) / 2, np.linspace(0, 2 * np.pi, 28)
    along = across / max(2 * half, 1)
    down = np.array([-along[1], along[0]])
    power = 2 / rng.uniform(2, 4)
    c, s = (np.sign(w) * np.abs(w) ** power for w in (np.cos(turn), np.sin(turn)))
    wide, high, drop = half * rng.uniform(0.68, 0.92), half * rng.uniform(0.48, 0.85), half * rng.uniform(-0.05, 0.3)
    lenses = [eye + down * drop + np.outer(wide * c, along) + np.outer(high * s, down) for eye in points[:2]]
    bridge = [points[0] + along * wide, points[1] - along * wide]
    temples = [[points[0] - along * wide, points[0] - along * (wide + 1.1 * half) - down],
               [points[1] + along * wide, points[1] + along * (wide + 1.1 * half) - down]]
    return lenses, [bridge, *temples]


def _sunglasses(size, rng, points, skin) -> _Layer:
    dark = _color(rng) * rng.uniform(0.05, 0.35)
    layer = _Layer(size, rng, dark)
    lenses, rods = _frames(points, rng)
    for lens in lenses:
        mask = layer.polygon(lens, dark) > 0
        y = np.linspace(-1, 1, layer.side, dtype=np.float32)[:, None].repeat(layer.side, 1)
        layer.color[mask] += (rng.uniform(0, 60) * (y + 0.4)[mask].clip(-0.5, 1))[:, None]
    if rng.random() < 0.5:  # a reflection
        covered = layer.alpha.copy()
        layer.line([rng.uniform(20, 108, 2) * (1, 0.45), rng.uniform(20, 108, 2) * (1, 0.45)], rng.uniform(1, 5),
                   dark + rng.uniform(20, 110))
        layer.alpha = covered
    frame, width = _color(rng) * rng.uniform(0.1, 0.8), rng.uniform(1, 4)
    for line in [np.concatenate([lens, lens[:1]]) for lens in lenses] + rods:
        layer.line(line, width, frame)
    return layer


def _glasses(size, rng, points, skin) -> _Layer:
    """The frame alone: nothing is seen of a clear lens."""
    frame = _color(rng) * rng.uniform(0.1, 0.8)
    layer, (lenses, rods) = _Layer(size, rng, frame), _frames(points, rng)
    for line in [np.concatenate([lens, lens[:1]]) for lens in lenses] + rods:
        layer.line(line, rng.uniform(1.2, 3.5))
    return layer


def _lettering(size, rng, points, skin) -> _Layer:
    bright = rng.random() < 0.75
    color = np.full(3, rng.uniform(225, 255) if bright else rng.uniform(0, 40))
    color = color if rng.random() < 0.7 else hsv(rng.random(), 0.9, 1)
    layer = _Layer(size, rng, color)
    font, scale = _FONTS[rng.integers(len(_FONTS))], layer.side / 256 * rng.uniform(0.5, 1.3)
    thick, y, x = max(1, round(1.6 * scale)), rng.uniform(0.25, 0.85), rng.uniform(-0.1, 0.25)
    letters = list(string.ascii_letters + string.digits + '    ')
    outline = rng.random() < 0.4
    for row in range(int(rng.integers(1, 5))):
        text = ''.join(rng.choice(letters, int(rng.integers(6, 22))))
        at = round(x * layer.side), round(y * layer.side + row * 34 * scale)
        for extra, paint in ((2, 255 - color), (0, color))[0 if outline else 1:]:
            layer.add(partial(cv2.putText, text=text, org=at, fontFace=font, fontScale=scale, color=255, thickness=thick + extra),
                      paint)
    return layer


def _stick(size, rng, points, skin) -> _Layer:
    color = _color(rng)
    layer = _Layer(size, rng, color)
    width, spot = rng.uniform(2.5, 9), _spot(rng)
    far = spot + (spot - (start := _edge(rng))) * rng.choice((0.1, 3))
    layer.rounded(layer.line([start, far], width, color), 0.5, width / 2)
    layer.shade(0.3, 0.05)
    return layer


def _mask(size, rng, points, skin) -> _Layer:
    color = hsv(rng.uniform(0.5, 0.65), rng.uniform(0, 0.5), rng.uniform(0.6, 1)) if rng.random() < 0.6 else _color(rng)
    layer = _Layer(size, rng, color)
    left, right, mouth = *points[:2], points[3:].mean(0)
    across, down = (right - left) / 2, (mouth - (left + right) / 2)
    top, wide, low = rng.uniform(0.35, 0.75), rng.uniform(1.25, 1.6), rng.uniform(1.65, 1.95)
    center = (left + right) / 2
    at = [(-wide, top + 0.25), (-0.5, top), (0, top - 0.1), (0.5, top), (wide, top + 0.25), (wide * 0.93, 1.2), (0.55, low),
          (0, low + 0.1), (-0.55, low), (-wide * 0.93, 1.2)]
    mask = layer.polygon([center + x * across + y * down for x, y in at])
    for fold in np.linspace(top + 0.3, 1.5, int(rng.integers(1, 5))):
        ends = center - wide * 0.9 * across + fold * down, center + wide * 0.9 * across + fold * down
        layer.color[layer.line(ends, 0.8) > 0] *= 0.85
    layer.alpha = mask
    for side in (-1, 1):
        layer.line([center + side * wide * across + (top + 0.3) * down, center + side * (wide + 0.6) * across], 1.4)
    layer.rounded(mask, 0.25, 10)
    layer.shade(0.15, 0.03)
    return layer


def _thing(size, rng, points, skin) -> _Layer:
    """A cup, a telephone, a leaf: any outline and texture."""
    color = _color(rng)
    layer = _Layer(size, rng, color)
    count, center, radius = int(rng.integers(3, 9)), _spot(rng), rng.uniform(8, 30)
    turn = np.sort(rng.uniform(0, 2 * np.pi, count))
    points = center + radius * np.stack([np.cos(turn), np.sin(turn)], 1) * rng.uniform(0.6, 1.4, (count, 1))
    mask = layer.ellipse(center, radius * rng.uniform(0.5, 1, 2), rng.uniform(0, 180)) if count > 6 else layer.polygon(points)
    if rng.random() < 0.5:
        layer.line([center, center + (_edge(rng) - center) * 1.5], rng.uniform(4, 16), _color(rng))
    if rng.random() < 0.5:  # stripes
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14) * layer.scale
        y, x = np.indices(layer.alpha.shape)
        layer.color[np.sin((x * np.cos(angle) + y * np.sin(angle)) / period) > rng.uniform(-0.5, 0.8)] = _color(rng)
    layer.rounded(mask, rng.uniform(0, 0.6), radius / 2)
    layer.shade(rng.uniform(0, 0.4), rng.uniform(0, 0.2))
    return layer


OCCLUDERS = {'hand': _hand, 'microphone': _microphone, 'sunglasses': _sunglasses, 'glasses': _glasses, 'lettering': _lettering,
             'stick': _stick, 'mask': _mask, 'thing': _thing}


def occlude(image: np.ndarray, kind: str, rng: np.random.Generator, points: np.ndarray | None = None):
    """Put an object in front of an aligned face.

    image (S,S,3) uint8 RGB in the template `face`; kind: of OCCLUDERS; points (5,2), landmarks in pixels, those of the template
    where None. Returns the new image and (S,S) bool, the pixels of which the object covers at least half. ValueError on an
    unknown kind.
    """
    if kind not in OCCLUDERS:
        raise ValueError(f'unknown occluder {kind!r}; known: {", ".join(OCCLUDERS)}')
    size = len(image)
    points = _POINTS + rng.normal(0, 1.5, 2) if points is None else (np.asarray(points, np.float32) + 0.5) * (UNITS / size)
    cheeks = image[round(0.55 * size):round(0.65 * size), round(0.35 * size):round(0.65 * size)].reshape(-1, 3)
    layer = OCCLUDERS[kind](size, rng, points.astype(np.float32), np.median(cheeks, 0))
    alpha = cv2.resize(layer.alpha, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    color = cv2.resize(layer.color.clip(0, 255), (size, size), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(alpha, (0, 0), sigma) if (sigma := rng.uniform(0, 0.008) * size) > 0.2 else alpha
    return (image + soft[..., None] * (color - image)).round().clip(0, 255).astype(np.uint8), alpha >= 0.5
