"""Hair: a region of the surface of the head above a hairline, a shell that enlarges the head there, and strands."""
import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike

from datasets.synthetic import palette
from datasets.synthetic.canvas import pixel_centers
from datasets.synthetic.parameters import Parameters
from datasets.synthetic.scene import Scene

Project = Callable[[ArrayLike], np.ndarray]  # (...,3) in the frame of the head -> (...,2) in units of the image

_TABLE_SIZE, _MAX_S = 320, 2.6  # the hairline is a table over the surface coordinate s in [-_MAX_S, _MAX_S]
_S = np.linspace(-_MAX_S, _MAX_S, _TABLE_SIZE, dtype=np.float32)
_ABS_S = np.abs(_S)
_TEMPLES = -0.395 + 0.16 * (_ABS_S / 0.5) ** 2 * (_ABS_S < 0.9) + np.clip((_ABS_S - 0.92) / 0.2, 0, 1) * 0.5
_CORNERS = np.exp(-((_ABS_S - 0.30) / 0.11) ** 2)
_FOREHEAD, _SWEEP = np.exp(-(_ABS_S / 0.46) ** 6), np.exp(-(_ABS_S / 0.62) ** 8)
_SIDE = np.clip((_ABS_S - 0.56) / 0.22, 0, 1)
_SIDE = _SIDE * _SIDE * (3 - 2 * _SIDE)
_CURL_STEP = 1.6  # units along an outline between the points of its curls
_CURL_POSITIONS = np.arange(1000) * _CURL_STEP
_CURL_NOISE = 1.2 * np.sin(_CURL_POSITIONS * 0.13) + 0.8 * np.sin(_CURL_POSITIONS * 0.31 + 1)
_CURL_BULGE = np.abs(np.sin(_CURL_POSITIONS * 0.42)) ** 0.7


class Hair:
    """The hair of an identity (`named` parameters).

    visible: False for a bald head. color: RGB in 0..255. is_long: whether it covers the ears. shell_scale: size of the hair
    relative to the skull.
    """

    def __init__(self, v: Parameters):
        self.v = v
        self.visible = v['bald'] <= 0
        self.color = palette.hair(v)
        self.is_long = v['hair_length'] > 0.0
        self.shell_scale = 1.055 + 0.035 * v['hair_volume'] + 0.03 * max(v['hair_curl'], 0) + 0.02 * self.is_long
        self._tables = self._hairline()

    def _hairline(self) -> np.ndarray:
        """(2,2,_TABLE_SIZE) float32, two equal rows each: the hairline t = line(s), with hair at smaller t, and the factor that
        converts line(s) - t into a distance from the line."""
        v, part = self.v, 0.28 * self.v['parting']
        line = _TEMPLES + _SIDE * (1.9 if self.is_long else 0.34 + 0.12 * v['hair_length'])
        line -= 0.035 * v['forehead_height'] + 0.03 * v['hairline']
        if v['hairline'] > 0:
            line -= _CORNERS * (0.11 * v['hairline'])
        if v['fringe'] > 0.35:      # locks of hair on the forehead
            locks = 1 + 0.13 * np.sin(_S * 23 + 40 * part) + 0.10 * np.sin(_S * 53 + 90 * part) + 0.05 * np.sin(_S * 97)
            line += _FOREHEAD * locks * (0.10 + 0.12 * (v['fringe'] - 0.35) / 0.65)
        elif v['fringe'] > -0.4:    # swept away from the parting
            line += np.minimum(np.abs(_S - part) / 0.4, 1) ** 1.4 * _SWEEP * (0.05 + 0.16 * self.is_long)
        slope = (line[1:] - line[:-1]) / (_S[1] - _S[0])
        tables = np.ones((2, 2, _TABLE_SIZE), np.float32)  # two rows: cv2.remap is slow at the edge of a table
        tables[0] = line
        tables[1, :, :-1] = 1 / np.sqrt(1 + slope * slope)
        return tables

    def _signed_distance(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """(H,W) float32: distance of surface coordinates (H,W) from the hairline, positive in the hair."""
        column = (s + _MAX_S) * ((_TABLE_SIZE - 1) / (2 * _MAX_S))
        row = np.zeros(column.shape, np.float32)
        line, factor = [cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                        for table in self._tables]
        distance: np.ndarray = np.subtract(line, t, out=np.asarray(line))
        distance *= factor
        return distance

    def cap_alpha(self, s: np.ndarray, t: np.ndarray, scale: float) -> np.ndarray:
        """(H,W) float32 in [0,1]: alpha of the hair on the surface at coordinates (H,W); `scale` in pixels per unit."""
        if not self.visible:
            return np.zeros_like(s)
        alpha = self._signed_distance(s, t)
        alpha *= 90 * scale
        alpha += 0.5
        return np.clip(alpha, 0, 1, out=alpha)

    def shell(self, scene: Scene) -> list[np.ndarray]:
        """Outlines (N,2), in units of the image, of the hair around the skull and, if long, beside the face."""
        height = scene.rim[:, 1]
        rows = ((self._signed_distance(*scene.rim_st)[0] > 0) & (height < 12)).nonzero()[0]
        scale = 1 + (self.shell_scale - 1) * np.clip(0.75 - height.take(rows) / 60, 0.5, 1.7)
        points = (scene.rim_projected.take(rows, 0) - scene.center) * scale[:, None] + scene.center
        return [self._curled(cv2.convexHull(points)[:, 0]), *self._side_locks(scene.project)]

    def _curled(self, outline: np.ndarray) -> np.ndarray:
        """The outline (N,2) with a row of curls on it."""
        curl = self.v['hair_curl']
        if curl <= 0.1:
            return outline
        x, y = np.concatenate([outline, outline[:1]]).T
        length = np.concatenate([[0], np.hypot(x[1:] - x[:-1], y[1:] - y[:-1]).cumsum()])
        count = math.ceil(length[-1] / _CURL_STEP)
        positions = _CURL_POSITIONS[:count]
        points = np.array([np.interp(positions, length, x), np.interp(positions, length, y)])
        outward = points - points.sum(1, keepdims=True) / count
        height = (1.5 + 2.5 * curl + _CURL_NOISE[:count]) * _CURL_BULGE[:count] + 1.2 * curl
        return (points + outward * (height / np.hypot(*outward))).T

    def _half_width(self, y: np.ndarray) -> np.ndarray:
        """Outer half width of long hair at heights `y` in the frame of the head."""
        wave = 2.2 * max(self.v['hair_curl'], 0)
        return 48 + 4 * self.v['hair_volume'] + 4 * np.clip((y + 20) / 60, 0, 1) + wave * np.sin(y / 5)

    def _side_locks(self, project: Project) -> list[np.ndarray]:
        if not self.is_long:
            return []
        y = np.linspace(-30, 25 + 110 * self.v['hair_length'], 12)
        outer, inner = self._half_width(y), np.interp(y, [-30, 0, 50, 140], [30, 34, 33, 27])
        taper = 1 - np.clip((y - y[-1] + 25) / 25, 0, 1) ** 2 * 0.45
        right = np.concatenate([np.stack([inner + (outer - inner) * taper, y, np.full(12, -4.0)], 1),
                                np.stack([inner, y, np.full(12, 2.0)], 1)[::-1]])
        return [*project(np.stack([right, right * (-1, 1, 1)]))]

    def back(self, project: Project) -> list[np.ndarray]:
        """Outlines (N,2), in units of the image, of long hair behind the neck."""
        if not (self.visible and self.is_long):
            return []
        y = np.linspace(-30, 20 + 110 * self.v['hair_length'], 12)
        right = np.stack([self._half_width(y) - 2, y, np.full(12, -22.0)], 1)
        return [project(np.concatenate([right, right[::-1] * (-1, 1, 1)]))]

    def strands(self, side: int, scene: Scene) -> np.ndarray:
        """(side,side,3) float32: the lit color of hair at every pixel, RGB."""
        v, light, exposure = self.v, scene.light, scene.exposure
        (left, top), (cx, cy) = scene.project([(26 * v['parting'], -74, 16)])[0].tolist(), scene.center.tolist()
        x, y = pixel_centers(side)
        radius, angle = map(np.asarray, cv2.cartToPolar(x - left, y - top))
        curl = max(v['hair_curl'], 0)
        bend = np.sin(radius * (0.09 + 0.14 * curl))
        bend *= 1.5 + 9 * curl
        angle *= 256 / (2 * math.pi)
        angle += bend
        fiber = np.asarray(cv2.remap(palette.noise(), angle, radius * (0.10 + 0.5 * curl), cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_WRAP))
        dome = (x[:1] - cx) * (light[0] / 90) + ((y[:, :1] - cy) * (light[1] / 130) + 0.74)
        np.clip(dome, 0.38, 1.3, out=dome)
        radius -= 36
        radius *= radius
        radius *= -1 / 144
        highlight = np.exp(np.maximum(radius, -20, out=radius), out=radius)
        highlight *= 0.30 * (0.4 + scene.a['light_strength'])
        tone = dome + highlight
        fiber *= 0.15 * dome + 0.5 * highlight
        tone += fiber
        tone *= exposure
        if scene.is_drawing:
            tone = np.round(tone * 3) / 3
        highlight *= 14 * exposure
        return np.asarray(cv2.merge([*(tone * self.color[:, None, None] + highlight)]))
