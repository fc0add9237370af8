"""The head as a surface in space: a star-shaped body around its center whose radius is a smooth function of direction.

Units are pixels of the 128-pixel template `face`; x to the viewer's right, y down, z towards the viewer; the origin lies between
the ears, 8 units below the line of the eyes. Directions are looked up by stereographic coordinates (s, t) = (x, y) / (|p| + z),
which cover the sphere but for the back of the head; in the face they are about 1/100 of (x, y).
"""
import math
from collections import defaultdict
from functools import lru_cache

import cv2
import numpy as np

EYE_LINE = -8.0  # y of the mean face's eyes
_BASE_SIDE, _BASE_SPAN = 40, 2.4       # coarse map of the whole head ...
_LARGE_SIDE = 120                      # ... enlarged to be looked up
_FINE_SIDE, _FINE_SPAN = 96, 0.64     # map of what the face adds: nose, sockets, lips ...


def _axis(side: int, span: float) -> np.ndarray:
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * np.float32(span)


def directions(s, t) -> np.ndarray:
    """Unit vectors (..., 3) of stereographic coordinates."""
    q = s * s + t * t
    return np.stack([2 * s, 2 * t, 1 - q], -1) / (1 + q)[..., None]


_FINE_AXIS = _axis(_FINE_SIDE, _FINE_SPAN)
_BASE_GRID = np.reshape(np.meshgrid(_axis(_BASE_SIDE, _BASE_SPAN), _axis(_BASE_SIDE, _BASE_SPAN)), (2, -1))  # (2,1600)
_BASE_DIRECTIONS = np.ascontiguousarray(directions(*_BASE_GRID))  # (1600,3)
_BASE_SQUARES = _BASE_DIRECTIONS ** 2
# The head's vertices, dense enough for its silhouette: points of the coarse map, of which those behind lie close together, and
# of the face's.
_FACE_GRID = np.array(np.meshgrid(_FINE_AXIS[3::6], _FINE_AXIS[3::6]))
_FACE_MAP = (_FACE_GRID / _BASE_SPAN + 1) * np.float32(_LARGE_SIDE / 2) - np.float32(0.5)  # in pixels of the enlarged map
_SPARSE = np.flatnonzero(((_BASE_GRID ** 2).sum(0) < 2.5) | (np.indices((_BASE_SIDE, _BASE_SIDE)) % 2 == 0).all(0).ravel())
_VERTICES = np.concatenate([_BASE_GRID[:, _SPARSE], _FACE_GRID.reshape(2, -1)], 1)  # (2,N)
_DIRECTIONS = np.ascontiguousarray(directions(*_VERTICES))  # (N,3)


def _exit(center, radii) -> np.ndarray:
    """Distance from the origin to the surface of an ellipsoid that contains it, for each direction of the coarse map."""
    center, power = np.array(center, np.float32), np.array(radii, np.float32) ** -2
    a, b = _BASE_SQUARES @ power, _BASE_DIRECTIONS @ (center * power)
    return (b + np.sqrt(np.maximum(b * b - a * ((center * center) @ power - 1), 0))) / a


# Bumps on the coarse map, mirrored: direction and sharpness. Corner of the jaw, side of the chin, cheek, cheekbone, temple.
_BUMPS = np.array([(31, 36, 16), (20, 54, 30), (34, 24, 28), (38, 6, 24), (42, -22, 18)], np.float32)
_BUMPS /= np.linalg.norm(_BUMPS, axis=1, keepdims=True)
_BUMPS = sum(np.exp(np.array([14, 26, 12, 22, 16], np.float32) * (_BASE_DIRECTIONS @ (_BUMPS * side).T - 1))
             for side in (np.ones(3, np.float32), np.array([-1, 1, 1], np.float32)))  # (1600,5)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) float32 from the head's frame to the viewer's; degrees, signs as in causes.ATTRIBUTE_RANGES."""
    (cy, sy), (cp, sp), (cr, sr) = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (yaw, pitch, roll)]
    x, y, z = (cy, 0, sy), (-sp * sy, cp, sp * cy), (-cp * sy, -sp, cp * cy)  # turned, then nodding
    return np.array([[cr * a - sr * b for a, b in zip(x, y)], [sr * a + cr * b for a, b in zip(x, y)], z], np.float32)


def layout(v: dict) -> dict[str, float]:
    """Feature positions of an identity in a neutral frontal face: x as half distances, y from the eye line."""
    return {
        'eye_x': 19.1 + 1.7 * v['eye_distance'], 'eye_y': -0.9 * v['eye_height'],
        'nose_y': 23.6 + 2.6 * v['nose_length'], 'nose_x': 9.0 + 2.0 * v['nose_width'],
        'mouth_x': 17.05 + 2.3 * v['mouth_width'], 'mouth_y': 40.75 + 1.5 * v['mouth_height'] + 1.0 * v['nose_length'],
        'brow_y': -11.6 - 2.0 * v['brow_height'],
        'chin_y': 68 + 3.6 * v['chin_length'],
    }


_AHEAD = np.eye(3, dtype=np.float32)


def sight(xy, turn):
    """Lines of sight at xy (2,H,W) float32 in the viewer's frame, which sees the head turned by `turn` (3,3) -> a function of
    depths z (H,W) that returns how far from the head's center the points there are (H,W), and their st (2,H,W)."""
    flat = xy[0] * xy[0] + xy[1] * xy[1]
    aside, deep = (turn[:2].T @ xy.reshape(2, -1)).reshape(3, *flat.shape), turn[2][:, None, None]

    def at(z):
        p = deep * z
        p += aside
        n = np.sqrt(flat + z * z)
        p[2] += n
        return n, p[:2] / np.maximum(p[2], 1e-3, out=p[2])

    return at


class Head:
    """The surface of one identity with one expression."""

    def __init__(self, v: dict, a: dict):
        self.v, self.at = v, layout(v)
        self.drop = 8.0 * a['mouth_open']  # how far the jaw opens
        rough = self._coarse()
        self._base = cv2.resize(rough, (_LARGE_SIDE, _LARGE_SIDE), interpolation=cv2.INTER_CUBIC)
        self._fine = self._relief(a)
        face = cv2.remap(self._base, *_FACE_MAP, cv2.INTER_LINEAR) + self._fine[3::6, 3::6]
        self._reach = np.concatenate([rough.take(_SPARSE), face.ravel()])  # of the vertices

    def _coarse(self) -> np.ndarray:
        v, at = self.v, self.at
        wide = 1 + 0.05 * v['head_width']
        cranium = _exit((0, -25 - 2 * v['forehead_height'], -6), (43.5 * wide, 52 + 3 * v['forehead_height'], 57))
        bottom = at['chin_y'] + EYE_LINE + self.drop * 0.9
        jaw_height = (bottom + 34) / 2
        jaw_width = 35.0 * wide * (1 + 0.08 * v['jaw_width'] + 0.05 * v['cheek_fullness'])
        jaw = _exit((0, bottom - jaw_height, 12), (jaw_width, jaw_height, 37.5))
        softness = 9.0
        h = np.maximum(softness - np.abs(cranium - jaw), 0)
        r = np.maximum(cranium, jaw) + h * h / (4 * softness)
        r += _BUMPS @ np.array([3.2 * v['jaw_width'] + 0.6, 1.7 * v['chin_width'] - 3.0, 1.6 * v['cheek_fullness'],
                                1.8 * v['cheekbones'], -2.0], np.float32)
        return r.reshape(_BASE_SIDE, _BASE_SIDE)

    def _relief(self, a: dict) -> np.ndarray:
        """Sum of separable Gaussians: one matrix product draws the whole relief of the face."""
        v, at, drop, smile = self.v, self.at, self.drop, a['smile']
        eye, ey, nose, mouth = at['eye_x'], at['eye_y'], at['nose_y'], at['mouth_y']
        lift = 1.6 * a['brow_raise']
        wing, tip = at['nose_x'], v['nose_tip']
        length = nose / 23.6
        low = mouth + 3.5 + drop
        pair = [  # x, y, sigma x, sigma y, height; mirrored
            (eye - 1.5, ey - 2.5, 8.5, 6.0, -5.0 - 1.6 * v['eye_depth']), (eye, ey + 0.5, 6.0, 4.0, 3.4),
            (eye - 11, ey - 2, 3.5, 6.0, -3.0),
            (eye - 1, at['brow_y'] - lift + 1, 10, 3.6, 2.2 + 1.4 * v['eye_depth'] - 0.5 * v['brow_height']),
            (28, 17 - smile, 9, 8, 2.0 + 1.4 * v['cheekbones'] + 1.0 * max(smile, 0)),
            (21.5, 25 - smile, 5.5, 6, 1.2 * v['cheek_fullness'] + 1.8 * max(smile, 0)),
            (27, 37, 7, 9, -1.4 - 1.0 * v['cheekbones'] + 1.6 * v['cheek_fullness']),
            (wing * 0.78, nose + 0.8, 2.9, 3.0, 4.6 + 0.8 * v['nose_width']), (wing + 3.0, nose + 1.5, 2.5, 4.5, -1.2),
            (at['mouth_x'] + 1.5 + smile, mouth - 1.5 * smile, 3, 3.5, -1.3),
        ]
        middle = [
            (0, -4, 6.5, 6.0, 1.5), (0, 8 * length, 4.4 + 0.7 * v['nose_width'], 9.5 * length, 5.6 + 1.8 * v['nose_bridge']),
            (0, nose - 1.4 - 1.2 * tip, 5.0 + 0.8 * v['nose_width'], 4.4, 9.0 + 1.6 * tip + 0.8 * v['nose_length']),
            (0, nose + 5.5, 7, 2.2, -2.2),
            (0, mouth - 1, 15, 9, 3.0), (0, mouth - 6.5, 1.7, 3.5, -0.8),
            (0, mouth - 2.2, 10, 2.0, 1.5 + 0.8 * v['lip_upper']), (0, low, 8, 2.3, 2.2 + 1.0 * v['lip_lower']),
            (0, low + 6.5, 10, 2.8, -2.2),
            (0, at['chin_y'] - 9.5 + drop, 9 + 2 * v['chin_width'], 6.5, 5.2 + 1.2 * v['chin_length']),
            (0, -30, 20, 12, 1.5),
        ]
        rows = np.array(pair + middle, np.float32)
        at, sigma = rows[:, :2].T, rows[:, 2:4].T[..., None] / 100
        at[1] += EYE_LINE
        depth = self._depth(*at)
        at /= np.sqrt((at * at).sum(0) + depth * depth) + depth  # stereographic
        bells = (_FINE_AXIS - at[..., None]) / sigma  # (2,rows,96): across and down
        bells *= bells
        bells *= -0.5
        across, down = np.exp(np.maximum(bells, -20, out=bells), out=bells)  # no denormal numbers: they are slow
        bells[..., ::_FINE_SIDE - 1] = 0
        across[:len(pair)] += across[:len(pair), ::-1]
        down *= rows[:, 4:]
        return down.T @ across

    @staticmethod
    def _depth(x, y):
        """The depth of an average face at frontal positions."""
        return np.sqrt(np.maximum(54.0 ** 2 - 0.75 * x * x - 0.35 * y * y, 100))

    def rim(self, turn) -> tuple[np.ndarray, np.ndarray]:
        """(N,3) points of the surface that are seen from the side when it is turned by `turn`, and their (2,1,N) coordinates."""
        aside = _DIRECTIONS @ turn[2]
        seen = (aside * aside < 0.45).nonzero()[0]
        return _DIRECTIONS.take(seen, 0) * self._reach.take(seen)[:, None], _VERTICES.take(seen, 1)[:, None]

    @staticmethod
    def _look(table, st, span, border=cv2.BORDER_REPLICATE) -> np.ndarray:
        """Bilinear look-up of a map at stereographic coordinates (2,H,W) float32."""
        k = len(table) / (2 * span)
        x, y = st * k + (span * k - 0.5)
        return cv2.remap(table, x, y, cv2.INTER_LINEAR, borderMode=border)

    def _radius(self, st) -> np.ndarray:
        return self._look(self._base, st, _BASE_SPAN) + self._look(self._fine, st, _FINE_SPAN, cv2.BORDER_CONSTANT)

    def along(self, points) -> np.ndarray:
        """(N,3) float32, any points -> (N,3) where the rays from the center through them meet the surface."""
        n = np.sqrt((points * points) @ np.ones(3, np.float32))
        st = (points[:, :2].T / (n + points[:, 2]))[:, None]
        return points * (self._radius(st)[0] / n)[:, None]

    def cast(self, at, z, steps: int, rough: int = 0) -> np.ndarray:
        """(H,W) float32: the depths, in the viewer's frame, where lines of `sight` meet the surface; z (H,W) guesses them.

        Newton's steps as if the surface were a sphere, the first `rough` ones on the head without a face. Lines that miss the
        head end near its rim.
        """
        for step in range(steps):
            n, st = at(z)
            r = self._look(self._base, st, _BASE_SPAN) if step < rough else self._radius(st)
            r -= n
            r *= n
            n *= 0.35
            r /= np.maximum(z, n, out=n)
            r += z
            z = np.maximum(r, -10.0, out=r)
        return z

    def lift(self, points) -> np.ndarray:
        """(N,2) frontal positions, y from the eye line -> (N,3) points on the surface."""
        xy = np.ascontiguousarray(points.T)[:, None]  # rows: looking up a column is slow
        xy[1] += EYE_LINE
        x, y = xy * _PER_UNIT + (_RELIEF_SIDE - 1) / 2
        guess = cv2.remap(_mean_relief(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        z = self.cast(sight(xy, _AHEAD), guess, steps=2)
        return np.concatenate([*xy, z]).T


_RELIEF_SIDE, _PER_UNIT = 96, 0.75


@lru_cache(maxsize=1)
def _mean_relief() -> np.ndarray:
    """(96,96) float32: the depth of the frontal mean face, the initial guess for other faces."""
    nothing = defaultdict(float)
    head, axis = Head(nothing, nothing), (np.arange(_RELIEF_SIDE, dtype=np.float32) - (_RELIEF_SIDE - 1) / 2) / _PER_UNIT
    xy = np.array(np.meshgrid(axis, axis), np.float32)
    return head.cast(sight(xy, _AHEAD), head._depth(*xy), steps=12)
