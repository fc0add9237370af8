"""Hair: a region of the head's surface above a hairline, a shell that makes the head larger there, and strands."""
import math

import cv2
import numpy as np

from datasets.synthetic import palette
from datasets.synthetic.canvas import positions

_TABLE, _REACH = 320, 2.6  # the hairline is a table over the surface coordinate s
_S = np.linspace(-_REACH, _REACH, _TABLE, dtype=np.float32)
_W = np.abs(_S)
_TEMPLES = -0.395 + 0.16 * (_W / 0.5) ** 2 * (_W < 0.9) + np.clip((_W - 0.92) / 0.2, 0, 1) * 0.5
_CORNERS = np.exp(-((_W - 0.30) / 0.11) ** 2)
_FOREHEAD, _BROAD = np.exp(-(_W / 0.46) ** 6), np.exp(-(_W / 0.62) ** 8)
_SIDE = np.clip((_W - 0.56) / 0.22, 0, 1)
_SIDE = _SIDE * _SIDE * (3 - 2 * _SIDE)
_CURL = 1.6  # along an outline: a point of its curls every so many units
_AT = np.arange(1000) * _CURL
_UNEVEN, _BULGE = 1.2 * np.sin(_AT * 0.13) + 0.8 * np.sin(_AT * 0.31 + 1), np.abs(np.sin(_AT * 0.42)) ** 0.7


class Hair:
    """The hair of one identity."""

    def __init__(self, v: dict):
        self.v = v
        self.grows = v['bald'] <= 0
        self.color = palette.hair(v)
        self.long = v['hair_length'] > 0.0
        self.thick = 1.055 + 0.035 * v['hair_volume'] + 0.03 * max(v['hair_curl'], 0) + 0.02 * self.long
        self._line = self._hairline()

    def _hairline(self) -> np.ndarray:
        """(2,2,_TABLE) float32, two equal rows each: hair grows where t < line(s); and what turns t - line(s) into a distance
        from the line."""
        v, part = self.v, 0.28 * self.v['parting']
        line = _TEMPLES + _SIDE * (1.9 if self.long else 0.34 + 0.12 * v['hair_length'])
        line -= 0.035 * v['forehead_height'] + 0.03 * v['hairline']
        if v['hairline'] > 0:
            line -= _CORNERS * (0.11 * v['hairline'])
        if v['fringe'] > 0.35:      # hair on the forehead, in locks
            locks = 1 + 0.13 * np.sin(_S * 23 + 40 * part) + 0.10 * np.sin(_S * 53 + 90 * part) + 0.05 * np.sin(_S * 97)
            line += _FOREHEAD * locks * (0.10 + 0.12 * (v['fringe'] - 0.35) / 0.65)
        elif v['fringe'] > -0.4:    # swept away from the parting
            line += np.minimum(np.abs(_S - part) / 0.4, 1) ** 1.4 * _BROAD * (0.05 + 0.16 * self.long)
        steep = (line[1:] - line[:-1]) / (_S[1] - _S[0])
        table = np.ones((2, 2, _TABLE), np.float32)  # a second row, as looking up at the edge of a table is slow
        table[0] = line
        table[1, :, :-1] = 1 / np.sqrt(1 + steep * steep)
        return table

    def _above(self, s, t) -> np.ndarray:
        """Signed distance of surface coordinates, (H,W) float32 each, from the hairline, positive in the hair."""
        at = (s + _REACH) * ((_TABLE - 1) / (2 * _REACH))
        row = np.zeros(at.shape, np.float32)
        line, across = [cv2.remap(table, at, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for table in self._line]
        line -= t
        line *= across
        return line

    def cap(self, s, t, scale: float) -> np.ndarray:
        """(H,W) float32 in [0,1]: where the surface seen at s and t (H,W) wears hair; scale in pixels per unit."""
        if not self.grows:
            return np.zeros_like(s)
        cap = self._above(s, t)
        cap *= 90 * scale
        cap += 0.5
        return np.clip(cap, 0, 1, out=cap)

    def crown(self, portrait) -> list[np.ndarray]:
        """Outlines of the hair around the skull and, if long, beside the face, in units of the image."""
        height = portrait.rim[:, 1]
        hairy = ((self._above(*portrait.rim_st)[0] > 0) & (height < 12)).nonzero()[0]
        lift = 1 + (self.thick - 1) * np.clip(0.75 - height.take(hairy) / 60, 0.5, 1.7)
        points = (portrait.rim_seen.take(hairy, 0) - portrait.center) * lift[:, None] + portrait.center
        return [self._curled(cv2.convexHull(points)[:, 0]), *self._locks(portrait.see)]

    def _curled(self, outline: np.ndarray) -> np.ndarray:
        """The outline with a row of curls on it."""
        curl = self.v['hair_curl']
        if curl <= 0.1:
            return outline
        x, y = np.concatenate([outline, outline[:1]]).T
        way = np.concatenate([[0], np.hypot(x[1:] - x[:-1], y[1:] - y[:-1]).cumsum()])
        curls = math.ceil(way[-1] / _CURL)
        at = _AT[:curls]
        points = np.array([np.interp(at, way, x), np.interp(at, way, y)])
        out = points - points.sum(1, keepdims=True) / curls
        height = (1.5 + 2.5 * curl + _UNEVEN[:curls]) * _BULGE[:curls] + 1.2 * curl
        return (points + out * (height / np.hypot(*out))).T

    def _hang(self, y: np.ndarray) -> np.ndarray:
        """Outer half width of long hair at heights of the head's frame."""
        wave = 2.2 * max(self.v['hair_curl'], 0)
        return 48 + 4 * self.v['hair_volume'] + 4 * np.clip((y + 20) / 60, 0, 1) + wave * np.sin(y / 5)

    def _locks(self, see) -> list[np.ndarray]:
        if not self.long:
            return []
        y = np.linspace(-30, 25 + 110 * self.v['hair_length'], 12)
        outer, inner = self._hang(y), np.interp(y, [-30, 0, 50, 140], [30, 34, 33, 27])
        tip = 1 - np.clip((y - y[-1] + 25) / 25, 0, 1) ** 2 * 0.45
        right = np.concatenate([np.stack([inner + (outer - inner) * tip, y, np.full(12, -4.0)], 1),
                                np.stack([inner, y, np.full(12, 2.0)], 1)[::-1]])
        return [*see(np.stack([right, right * (-1, 1, 1)]))]

    def behind(self, see) -> list[np.ndarray]:
        """Long hair that hangs behind the neck, in units of the image."""
        if not (self.grows and self.long):
            return []
        y = np.linspace(-30, 20 + 110 * self.v['hair_length'], 12)
        right = np.stack([self._hang(y) - 2, y, np.full(12, -22.0)], 1)
        return [see(np.concatenate([right, right[::-1] * (-1, 1, 1)]))]

    def strands(self, side: int, portrait) -> np.ndarray:
        """(side,side,3) float32: the color of hair at every pixel."""
        v, light, level = self.v, portrait.light, portrait.level
        (left, top), (cx, cy) = portrait.see([(26 * v['parting'], -74, 16)])[0].tolist(), portrait.center.tolist()
        x, y = positions(side)
        radius, angle = cv2.cartToPolar(x - left, y - top)
        curl = max(v['hair_curl'], 0)
        bend = np.sin(radius * (0.09 + 0.14 * curl))
        bend *= 1.5 + 9 * curl
        angle *= 256 / (2 * math.pi)
        angle += bend
        fibre = cv2.remap(palette.noise(), angle, radius * (0.10 + 0.5 * curl), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        dome = (x[:1] - cx) * (light[0] / 90) + ((y[:, :1] - cy) * (light[1] / 130) + 0.74)
        np.clip(dome, 0.38, 1.3, out=dome)
        radius -= 36
        radius *= radius
        radius *= -1 / 144
        band = np.exp(np.maximum(radius, -20, out=radius), out=radius)
        band *= 0.30 * (0.4 + portrait.a['light_strength'])
        tone = dome + band
        fibre *= 0.15 * dome + 0.5 * band
        tone += fibre
        tone *= level
        if portrait.drawing:
            tone = np.round(tone * 3) / 3
        band *= 14 * level
        return cv2.merge([*(tone * self.color[:, None, None] + band)])
