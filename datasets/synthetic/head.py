"""The head as a star-shaped surface around its center, whose radius is a smooth function of direction.

Units are pixels of the 128-pixel template `face`; x to the viewer's right, y down, z toward the viewer; the origin lies between
the ears, 8 units below the line of the eyes. Directions have stereographic coordinates (s, t) = (x, y) / (|p| + z), which cover
the sphere except for the back of the head; in the face they are about 1/100 of (x, y).
"""
import math
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from datasets.synthetic.parameters import Parameters

EYE_LINE = -8.0  # y of the eyes of the mean face
_BASE_SIDE, _BASE_SPAN = 40, 2.4       # map of radii of the head without facial features: texels per side, largest s and t
_UPSAMPLED_SIDE = 120                  # texels per side of the same map for look-ups
_FINE_SIDE, _FINE_SPAN = 96, 0.64      # map of the relief of the face: nose, eye sockets, lips, ...


def _axis(side: int, span: float) -> np.ndarray:
    """(side,) float32 texel centers from -span to span."""
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * np.float32(span)


def directions(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(...,3) unit vectors of stereographic coordinates (...)."""
    q = s * s + t * t
    return np.stack([2 * s, 2 * t, 1 - q], -1) / (1 + q)[..., None]


_FINE_AXIS = _axis(_FINE_SIDE, _FINE_SPAN)
_BASE_GRID = np.reshape(np.meshgrid(_axis(_BASE_SIDE, _BASE_SPAN), _axis(_BASE_SIDE, _BASE_SPAN)), (2, -1))  # (2,1600)
_BASE_DIRECTIONS = np.ascontiguousarray(directions(*_BASE_GRID))  # (1600,3)
_BASE_SQUARES = _BASE_DIRECTIONS ** 2
# Vertices for the silhouette of the head: texels of the base map, fewer of them at the back where they lie close together, and of
# the relief.
_FACE_GRID = np.array(np.meshgrid(_FINE_AXIS[3::6], _FINE_AXIS[3::6]))
_FACE_MAP = (_FACE_GRID / _BASE_SPAN + 1) * np.float32(_UPSAMPLED_SIDE / 2) - np.float32(0.5)  # in texels
_BASE_VERTICES = np.flatnonzero(((_BASE_GRID ** 2).sum(0) < 2.5) | (np.indices((_BASE_SIDE, _BASE_SIDE)) % 2 == 0).all(0).ravel())
_VERTICES = np.concatenate([_BASE_GRID[:, _BASE_VERTICES], _FACE_GRID.reshape(2, -1)], 1)  # (2,N)
_VERTEX_DIRECTIONS = np.ascontiguousarray(directions(*_VERTICES))  # (N,3)


def _ellipsoid(center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    """(1600,) float32: distance from the origin to the surface of an ellipsoid that contains it, in the directions of the base
    map."""
    c, weight = np.array(center, np.float32), np.array(radii, np.float32) ** -2
    a, b = _BASE_SQUARES @ weight, _BASE_DIRECTIONS @ (c * weight)
    return (b + np.sqrt(np.maximum(b * b - a * ((c * c) @ weight - 1), 0))) / a


# Symmetric bumps on the base map: corner of the jaw, side of the chin, cheek, cheekbone, temple.
_BUMP_CENTERS = np.array([(31, 36, 16), (20, 54, 30), (34, 24, 28), (38, 6, 24), (42, -22, 18)], np.float32)
_BUMP_CENTERS /= np.linalg.norm(_BUMP_CENTERS, axis=1, keepdims=True)
_BUMP_SHARPNESS = np.array([14, 26, 12, 22, 16], np.float32)
_BUMPS = sum(np.exp(_BUMP_SHARPNESS * (_BASE_DIRECTIONS @ (_BUMP_CENTERS * side).T - 1))
             for side in (np.ones(3, np.float32), np.array([-1, 1, 1], np.float32)))  # (1600,5)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3,3) float32 from the frame of the head to that of the viewer; angles in degrees, signs as in ATTRIBUTE_RANGES."""
    (cy, sy), (cp, sp), (cr, sr) = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (yaw, pitch, roll)]
    x, y, z = (cy, 0, sy), (-sp * sy, cp, sp * cy), (-cp * sy, -sp, cp * cy)  # yaw, then pitch
    return np.array([[cr * a - sr * b for a, b in zip(x, y)], [sr * a + cr * b for a, b in zip(x, y)], z], np.float32)


def layout(v: Parameters) -> dict[str, float]:
    """Positions of the features of an identity in a neutral frontal face, in units: x as half distances, y from the eye line."""
    return {
        'eye_x': 19.1 + 1.7 * v['eye_distance'], 'eye_y': -0.9 * v['eye_height'],
        'nose_y': 23.6 + 2.6 * v['nose_length'], 'nose_x': 9.0 + 2.0 * v['nose_width'],
        'mouth_x': 17.05 + 2.3 * v['mouth_width'], 'mouth_y': 40.75 + 1.5 * v['mouth_height'] + 1.0 * v['nose_length'],
        'brow_y': -11.6 - 2.0 * v['brow_height'],
        'chin_y': 68 + 3.6 * v['chin_length'],
    }


_FRONTAL = np.eye(3, dtype=np.float32)
Rays = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def parallel_rays(xy: np.ndarray, turn: np.ndarray) -> Rays:
    """Rays of an orthographic camera through xy (2,H,W) float32 in the frame of the viewer, for a head rotated by `turn` (3,3).

    Returns a function from depths z (H,W) in the frame of the viewer to the distances (H,W) of those points of the rays from the
    center of the head and their stereographic coordinates (2,H,W) in the frame of the head.
    """
    square = xy[0] * xy[0] + xy[1] * xy[1]
    lateral, axis = (turn[:2].T @ xy.reshape(2, -1)).reshape(3, *square.shape), turn[2][:, None, None]

    def points_at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = axis * z
        p += lateral
        n = np.sqrt(square + z * z)
        p[2] += n
        return n, p[:2] / np.maximum(p[2], 1e-3, out=p[2])

    return points_at


class Head:
    """The surface of one identity with one expression, from `named` parameters. jaw_drop: opening of the jaw in units."""

    def __init__(self, v: Parameters, a: Parameters):
        self.v, self.layout = v, layout(v)
        self.jaw_drop = 8.0 * a['mouth_open']
        base = self._base_radii()
        self._base = cv2.resize(base, (_UPSAMPLED_SIDE, _UPSAMPLED_SIDE), interpolation=cv2.INTER_CUBIC)
        self._fine = self._relief(a)
        face = cv2.remap(self._base, _FACE_MAP[0], _FACE_MAP[1], cv2.INTER_LINEAR) + self._fine[3::6, 3::6]
        self._vertex_radii = np.concatenate([base.take(_BASE_VERTICES), face.ravel()])

    def _base_radii(self) -> np.ndarray:
        """(40,40) float32: radii of the head without facial features, the smooth union of cranium and jaw."""
        v = self.v
        width = 1 + 0.05 * v['head_width']
        cranium = _ellipsoid((0, -25 - 2 * v['forehead_height'], -6), (43.5 * width, 52 + 3 * v['forehead_height'], 57))
        bottom = self.layout['chin_y'] + EYE_LINE + self.jaw_drop * 0.9
        jaw_height = (bottom + 34) / 2
        jaw_width = 35.0 * width * (1 + 0.08 * v['jaw_width'] + 0.05 * v['cheek_fullness'])
        jaw = _ellipsoid((0, bottom - jaw_height, 12), (jaw_width, jaw_height, 37.5))
        softness = 9.0
        h = np.maximum(softness - np.abs(cranium - jaw), 0)
        r = np.maximum(cranium, jaw) + h * h / (4 * softness)
        r += _BUMPS @ np.array([3.2 * v['jaw_width'] + 0.6, 1.7 * v['chin_width'] - 3.0, 1.6 * v['cheek_fullness'],
                                1.8 * v['cheekbones'], -2.0], np.float32)
        return r.reshape(_BASE_SIDE, _BASE_SIDE)

    def _relief(self, a: Parameters) -> np.ndarray:
        """(96,96) float32: radii that the face adds to the base map, a sum of separable Gaussians as one matrix product."""
        v, layout, drop, smile = self.v, self.layout, self.jaw_drop, a['smile']
        eye, ey, nose, mouth = layout['eye_x'], layout['eye_y'], layout['nose_y'], layout['mouth_y']
        lift = 1.6 * a['brow_raise']
        wing, tip = layout['nose_x'], v['nose_tip']
        length = nose / 23.6
        low = mouth + 3.5 + drop
        pairs = [  # x, y, sigma x, sigma y, height; repeated on the other side
            (eye - 1.5, ey - 2.5, 8.5, 6.0, -5.0 - 1.6 * v['eye_depth']), (eye, ey + 0.5, 6.0, 4.0, 3.4),
            (eye - 11, ey - 2, 3.5, 6.0, -3.0),
            (eye - 1, layout['brow_y'] - lift + 1, 10, 3.6, 2.2 + 1.4 * v['eye_depth'] - 0.5 * v['brow_height']),
            (28, 17 - smile, 9, 8, 2.0 + 1.4 * v['cheekbones'] + 1.0 * max(smile, 0)),
            (21.5, 25 - smile, 5.5, 6, 1.2 * v['cheek_fullness'] + 1.8 * max(smile, 0)),
            (27, 37, 7, 9, -1.4 - 1.0 * v['cheekbones'] + 1.6 * v['cheek_fullness']),
            (wing * 0.78, nose + 0.8, 2.9, 3.0, 4.6 + 0.8 * v['nose_width']), (wing + 3.0, nose + 1.5, 2.5, 4.5, -1.2),
            (layout['mouth_x'] + 1.5 + smile, mouth - 1.5 * smile, 3, 3.5, -1.3),
        ]
        middle = [
            (0, -4, 6.5, 6.0, 1.5), (0, 8 * length, 4.4 + 0.7 * v['nose_width'], 9.5 * length, 5.6 + 1.8 * v['nose_bridge']),
            (0, nose - 1.4 - 1.2 * tip, 5.0 + 0.8 * v['nose_width'], 4.4, 9.0 + 1.6 * tip + 0.8 * v['nose_length']),
            (0, nose + 5.5, 7, 2.2, -2.2),
            (0, mouth - 1, 15, 9, 3.0), (0, mouth - 6.5, 1.7, 3.5, -0.8),
            (0, mouth - 2.2, 10, 2.0, 1.5 + 0.8 * v['lip_upper']), (0, low, 8, 2.3, 2.2 + 1.0 * v['lip_lower']),
            (0, low + 6.5, 10, 2.8, -2.2),
            (0, layout['chin_y'] - 9.5 + drop, 9 + 2 * v['chin_width'], 6.5, 5.2 + 1.2 * v['chin_length']),
            (0, -30, 20, 12, 1.5),
        ]
        rows = np.array(pairs + middle, np.float32)
        centers, sigma = rows[:, :2].T, rows[:, 2:4].T[..., None] / 100
        centers[1] += EYE_LINE
        depth = self._mean_depth(*centers)
        centers /= np.sqrt((centers * centers).sum(0) + depth * depth) + depth  # stereographic
        bells = (_FINE_AXIS - centers[..., None]) / sigma  # (2,rows,96): across and down
        bells *= bells
        bells *= -0.5
        across, down = np.exp(np.maximum(bells, -20, out=bells), out=bells)  # denormal numbers are slow
        bells[..., ::_FINE_SIDE - 1] = 0
        across[:len(pairs)] += across[:len(pairs), ::-1]
        down *= rows[:, 4:]
        return down.T @ across

    @staticmethod
    def _mean_depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Approximate z of a face at frontal positions in units."""
        return np.sqrt(np.maximum(54.0 ** 2 - 0.75 * x * x - 0.35 * y * y, 100))

    def rim(self, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N,3) of the surface near the silhouette of the head rotated by `turn` (3,3), and their stereographic
        coordinates (2,1,N)."""
        depth = _VERTEX_DIRECTIONS @ turn[2]
        near = (depth * depth < 0.45).nonzero()[0]
        return _VERTEX_DIRECTIONS.take(near, 0) * self._vertex_radii.take(near)[:, None], _VERTICES.take(near, 1)[:, None]

    @staticmethod
    def _look_up(table: np.ndarray, st: np.ndarray, span: float, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """(H,W): bilinear interpolation of a map at stereographic coordinates (2,H,W) float32."""
        k = len(table) / (2 * span)
        x, y = st * k + (span * k - 0.5)
        return np.asarray(cv2.remap(table, x, y, cv2.INTER_LINEAR, borderMode=border))

    def _radius(self, st: np.ndarray) -> np.ndarray:
        return self._look_up(self._base, st, _BASE_SPAN) + self._look_up(self._fine, st, _FINE_SPAN, cv2.BORDER_CONSTANT)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N,3) float32 points -> (N,3) intersections of the surface with the rays from the center through them."""
        n = np.sqrt((points * points) @ np.ones(3, np.float32))
        st = (points[:, :2].T / (n + points[:, 2]))[:, None]
        return points * (self._radius(st)[0] / n)[:, None]

    def cast(self, rays: Rays, z: np.ndarray, steps: int, base_steps: int = 0) -> np.ndarray:
        """(H,W) float32: depths in the frame of the viewer where `parallel_rays` meet the surface, from the estimate `z` (H,W).

        Newton steps that treat the surface as a sphere, the first `base_steps` of them on the head without facial features. Rays
        that miss the head end near its rim.
        """
        for step in range(steps):
            n, st = rays(z)
            r = self._look_up(self._base, st, _BASE_SPAN) if step < base_steps else self._radius(st)
            r -= n
            r *= n
            n *= 0.35
            r /= np.maximum(z, n, out=n)
            r += z
            z = np.maximum(r, -10.0, out=r)
        return z

    def lift(self, points: np.ndarray) -> np.ndarray:
        """(N,2) float32 frontal positions, y from the eye line -> (N,3) points on the surface."""
        xy = np.ascontiguousarray(points.T)[:, None]  # rows: cv2.remap is slow on a column
        xy[1] += EYE_LINE
        x, y = xy * _TEXELS_PER_UNIT + (_DEPTH_MAP_SIDE - 1) / 2
        estimate = np.asarray(cv2.remap(_mean_depth_map(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        z = self.cast(parallel_rays(xy, _FRONTAL), estimate, steps=2)
        return np.concatenate([*xy, z]).T


_DEPTH_MAP_SIDE, _TEXELS_PER_UNIT = 96, 0.75


@lru_cache(maxsize=1)
def _mean_depth_map() -> np.ndarray:
    """(96,96) float32: the depth of the frontal mean face, the initial estimate for other faces."""
    zeros: defaultdict[str, float] = defaultdict(float)
    head, axis = Head(zeros, zeros), (np.arange(_DEPTH_MAP_SIDE, dtype=np.float32) - (_DEPTH_MAP_SIDE - 1) / 2) / _TEXELS_PER_UNIT
    xy = np.array(np.meshgrid(axis, axis), np.float32)
    return head.cast(parallel_rays(xy, _FRONTAL), head._mean_depth(*xy), steps=12)
