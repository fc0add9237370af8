"""The head as a surface in space: a star-shaped body around its centre whose radius is a smooth function of direction.

Units are pixels of the 128-pixel template `face`; x to the viewer's right, y down, z towards the viewer; the origin lies between
the ears, 8 units below the line of the eyes. Directions are looked up by stereographic coordinates (s, t) = (x, y) / (|p| + z),
which cover the sphere but for the back of the head; in the face they are about 1/100 of (x, y).
"""
import math

import cv2
import numpy as np

EYE_LINE = -8.0  # y of the mean face's eyes
_BASE_SIDE, _BASE_SPAN = 40, 2.4       # coarse map of the whole head
_FINE_SIDE, _FINE_SPAN = 128, 0.64     # map of what the face adds: nose, sockets, lips ...


def _axis(side: int, span: float) -> np.ndarray:
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * np.float32(span)


def directions(s, t) -> np.ndarray:
    """Unit vectors (..., 3) of stereographic coordinates."""
    q = s * s + t * t
    return np.stack([2 * s, 2 * t, 1 - q], -1) / (1 + q)[..., None]


_BASE_DIRECTIONS = directions(*np.meshgrid(_axis(_BASE_SIDE, _BASE_SPAN), _axis(_BASE_SIDE, _BASE_SPAN))).astype(np.float32)
_FINE_AXIS = _axis(_FINE_SIDE, _FINE_SPAN)[:, None]
_FINE_GRID = np.meshgrid(*[_axis(_FINE_SIDE, _FINE_SPAN)[4::8]] * 2)
_FINE_DIRECTIONS = directions(*_FINE_GRID).astype(np.float32)


def _exit(centre, radii) -> np.ndarray:
    """Distance from the origin to the surface of an ellipsoid that contains it, for each direction of the coarse map."""
    radii = np.asarray(radii, np.float32)
    d, c = _BASE_DIRECTIONS / radii, np.asarray(centre, np.float32) / radii
    a, b = np.einsum('ijk,ijk->ij', d, d), d @ c
    return (b + np.sqrt(np.maximum(b * b - a * (c @ c - 1), 0))) / a


# Bumps on the coarse map, mirrored: direction and sharpness. Corner of the jaw, side of the chin, cheek, cheekbone, temple.
_BUMPS = np.array([(31, 36, 16), (20, 54, 30), (34, 24, 28), (38, 6, 24), (42, -22, 18)], np.float32)
_BUMPS /= np.linalg.norm(_BUMPS, axis=1, keepdims=True)
_BUMPS = sum(np.exp(np.array([14, 26, 12, 22, 16], np.float32) * (_BASE_DIRECTIONS @ (_BUMPS * side).T - 1))
             for side in (np.ones(3, np.float32), np.array([-1, 1, 1], np.float32)))  # (40,40,5)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) float32 from the head's frame to the viewer's; degrees, signs as in causes.ATTRIBUTE_RANGES."""
    (cy, sy), (cp, sp), (cr, sr) = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (yaw, pitch, roll)]
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (tilt @ nod @ turn).astype(np.float32)


def layout(v: dict) -> dict[str, float]:
    """Where an identity's features sit when it looks straight ahead and rests: x as half distances, y from the eye line."""
    return {
        'eye_x': 19.1 + 1.7 * v['eye_distance'], 'eye_y': -0.9 * v['eye_height'],
        'nose_y': 23.6 + 2.6 * v['nose_length'], 'nose_x': 9.0 + 2.0 * v['nose_width'],
        'mouth_x': 17.05 + 2.3 * v['mouth_width'], 'mouth_y': 40.75 + 1.5 * v['mouth_height'] + 1.0 * v['nose_length'],
        'brow_y': -11.6 - 2.0 * v['brow_height'],
        'chin_y': 68 + 3.6 * v['chin_length'],
    }


_AHEAD = np.eye(3, dtype=np.float32)


class Head:
    """The surface of one identity with one expression."""

    def __init__(self, v: dict, a: dict):
        self.v, self.at = v, layout(v)
        self.drop = 8.0 * a['mouth_open']  # how far the jaw opens
        rough = self._coarse()
        self._base = cv2.resize(rough, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        self._fine = self._relief(a)
        self.vertices = self._vertices(rough)

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
        return r.astype(np.float32)

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
        rows = np.array([*pair, *[(-x, *rest) for x, *rest in pair], *middle], np.float32)
        x, y, sx, sy, height = rows.T
        s, t = self._rough(x, y + EYE_LINE)
        across = np.exp(np.maximum(-0.5 * ((_FINE_AXIS - s) / (sx / 100)) ** 2, -20))  # no denormal numbers: they are slow
        down = np.exp(np.maximum(-0.5 * ((_FINE_AXIS - t) / (sy / 100)) ** 2, -20))
        relief = (down * height) @ across.T
        relief[:, [0, -1]] = relief[[0, -1]] = 0
        return relief.astype(np.float32)

    @staticmethod
    def _rough(x, y):
        """Stereographic coordinates of frontal positions on a face whose plane lies 50 units in front of the centre."""
        depth = np.sqrt(np.maximum(54.0 ** 2 - 0.75 * x * x - 0.35 * y * y, 100))
        n = np.sqrt(x * x + y * y + depth * depth) + depth
        return x / n, y / n

    def _vertices(self, rough) -> np.ndarray:
        """(N,3) points of the surface, dense enough for its silhouette."""
        base = (_BASE_DIRECTIONS * rough[..., None]).reshape(-1, 3)
        return np.concatenate([base, (_FINE_DIRECTIONS * self._radius(*_FINE_GRID)[..., None]).reshape(-1, 3)])

    @staticmethod
    def _look(table, s, t, span, border=cv2.BORDER_REPLICATE) -> np.ndarray:
        """Bilinear look-up of a map at stereographic coordinates (2-D float32)."""
        k = len(table) / (2 * span)
        return cv2.remap(table, s * k + (span * k - 0.5), t * k + (span * k - 0.5), cv2.INTER_LINEAR, borderMode=border)

    def _radius(self, s, t) -> np.ndarray:
        return self._look(self._base, s, t, _BASE_SPAN) + self._look(self._fine, s, t, _FINE_SPAN, cv2.BORDER_CONSTANT)

    def along(self, points) -> np.ndarray:
        """(N,3) any points -> (N,3) where the rays from the centre through them meet the surface."""
        p = np.asarray(points, np.float32)
        n = np.linalg.norm(p, axis=1)
        s, t = (p[:, :2].T / (n + p[:, 2]))[:, None]
        return p * (self._radius(s, t)[0] / n)[:, None]

    def cast(self, x, y, turn, steps: int, z=None):
        """Where lines of sight meet the surface turned by `turn` (3,3): x, y 2-D float32 in the viewer's frame.

        Newton's steps as if the surface were a sphere, from the depth z if one is given. Returns z in the viewer's frame and
        the surface's (s, t), all of x's shape; lines that miss the head end near its rim.
        """
        flat = x * x + y * y
        coarse = z is None
        z = np.sqrt(np.maximum(66.0 ** 2 - flat, 4.0)) if coarse else z
        back = turn.T
        hx, hy, hz = [back[i, 0] * x + back[i, 1] * y for i in range(3)]
        for step in range(steps + 1):
            px, py, pz = hx + back[0, 2] * z, hy + back[1, 2] * z, hz + back[2, 2] * z
            n = np.sqrt(flat + z * z)
            scale = 1 / np.maximum(n + pz, 1e-3)
            s, t = px * scale, py * scale
            if step < steps:
                r = self._radius(s, t) if step > 0 or not coarse else self._look(self._base, s, t, _BASE_SPAN)
                z = np.maximum(z - (n - r) * n / np.maximum(z, 0.35 * n), -10.0)
        return z, s, t

    def lift(self, points) -> np.ndarray:
        """(N,2) frontal positions, y from the eye line -> (N,3) points on the surface."""
        x, y = np.ascontiguousarray(points.T, np.float32)[:, None]  # rows: looking up a column is slow
        y = y + np.float32(EYE_LINE)
        z, _, _ = self.cast(x, y, _AHEAD, steps=4)
        return np.concatenate([x, y, z]).T
