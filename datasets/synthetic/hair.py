"""Hair: a region of the head's surface above a hairline, a shell that makes the head larger there, and strands."""
import cv2
import numpy as np

from datasets.synthetic import palette
from datasets.synthetic.canvas import positions

_TABLE, _REACH = 320, 2.6  # the hairline is a table over the surface coordinate s
_S = np.linspace(-_REACH, _REACH, _TABLE, dtype=np.float32)


class Hair:
    """The hair of one identity."""

    def __init__(self, v: dict):
        self.v = v
        self.grows = v['bald'] <= 0
        self.colour = palette.hair(v)
        self.long = v['hair_length'] > 0.0
        self.thick = 1.055 + 0.035 * v['hair_volume'] + 0.03 * max(v['hair_curl'], 0) + 0.02 * self.long
        self._line = self._hairline()

    def _hairline(self) -> np.ndarray:
        """(1,_TABLE,2) float32: hair grows where t < line(s); and what turns t - line(s) into a distance from the line."""
        v = self.v
        s, w = _S, np.abs(_S)
        line = -0.395 - 0.035 * v['forehead_height'] - 0.03 * v['hairline'] + 0.16 * (w / 0.5) ** 2 * (w < 0.9)
        line -= 0.11 * max(v['hairline'], 0) * np.exp(-((w - 0.30) / 0.11) ** 2)
        part = 0.28 * v['parting']
        if v['fringe'] > 0.35:      # hair on the forehead, in locks
            depth = 0.10 + 0.12 * (v['fringe'] - 0.35) / 0.65
            locks = 1 + 0.13 * np.sin(s * 23 + 40 * part) + 0.10 * np.sin(s * 53 + 90 * part) + 0.05 * np.sin(s * 97)
            line += depth * np.exp(-(w / 0.46) ** 6) * locks
        elif v['fringe'] > -0.4:    # swept away from the parting
            line += (0.05 + 0.16 * self.long) * np.clip(np.abs(s - part) / 0.4, 0, 1) ** 1.4 * np.exp(-(w / 0.62) ** 8)
        side = np.clip((w - 0.56) / 0.22, 0, 1)
        side = side * side * (3 - 2 * side)
        line += side * (1.9 if self.long else 0.34 + 0.12 * v['hair_length'])
        line += np.clip((w - 0.92) / 0.2, 0, 1) * 0.5
        steep = np.diff(line, append=line[-1]) / (s[1] - s[0])
        return np.stack([line, 1 / np.sqrt(1 + steep * steep)], -1)[None].astype(np.float32)

    def _above(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Signed distance of surface coordinates (2-D float32) from the hairline, positive in the hair."""
        at = (s + _REACH) * ((_TABLE - 1) / (2 * _REACH))
        line = cv2.remap(self._line, at, np.zeros_like(at), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (line[..., 0] - t) * line[..., 1]

    def cap(self, s, t, scale: float) -> np.ndarray:
        """(side,side) float32 in [0,1]: where the surface seen at (s, t) wears hair; scale in pixels per unit."""
        if not self.grows:
            return np.zeros_like(s)
        return np.clip(self._above(s, t) * np.float32(90 * scale) + 0.5, 0, 1)

    def crown(self, rim: np.ndarray, see) -> list[np.ndarray]:
        """Outlines of the hair around the skull and, if long, beside the face, in units of the picture; rim: (N,3) points of
        the head that are seen from the side."""
        s, t = (rim[:, :2].T / np.maximum(np.linalg.norm(rim, axis=1) + rim[:, 2], 1e-3))[:, None]
        hairy = (self._above(s, t)[0] > 0) & (rim[:, 1] < 12)
        p = rim[hairy]
        lift = 1 + (self.thick - 1) * np.clip(0.75 - p[:, 1:2] / 60, 0.5, 1.7)
        outline = cv2.convexHull(see(p * lift))[:, 0]
        return [self._curled(outline), *self._locks(see)]

    def _curled(self, outline: np.ndarray) -> np.ndarray:
        """The outline with a row of curls on it."""
        curl = self.v['hair_curl']
        if curl <= 0.1:
            return outline
        closed = np.concatenate([outline, outline[:1]])
        way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
        at = np.arange(0, way[-1], 1.6)
        points = np.stack([np.interp(at, way, closed[:, 0]), np.interp(at, way, closed[:, 1])], 1)
        out = points - points.mean(0)
        size = 1.5 + 2.5 * curl + 1.2 * np.sin(at * 0.13) + 0.8 * np.sin(at * 0.31 + 1)
        height = size * np.abs(np.sin(at * 0.42)) ** 0.7 + 1.2 * curl
        return points + out * (height / np.linalg.norm(out, axis=1))[:, None]

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
        return [see(right), see(right * (-1, 1, 1))]

    def behind(self, see) -> list[np.ndarray]:
        """Long hair that hangs behind the neck, in units of the picture."""
        if not (self.grows and self.long):
            return []
        y = np.linspace(-30, 20 + 110 * self.v['hair_length'], 12)
        right = np.stack([self._hang(y) - 2, y, np.full(12, -22.0)], 1)
        return [see(np.concatenate([right, right[::-1] * (-1, 1, 1)]))]

    def strands(self, side: int, portrait) -> np.ndarray:
        """(side,side,3) float32: the colour of hair at every pixel."""
        v, light, level = self.v, portrait.light, portrait.level
        crown = portrait.see([(26 * v['parting'], -74, 16)])[0]
        x, y = positions(side)
        x, y = x - crown[0], y - crown[1]
        radius, angle = cv2.cartToPolar(x, y)
        curl = max(v['hair_curl'], 0)
        bend = np.sin(radius * np.float32(0.09 + 0.14 * curl)) * np.float32(1.5 + 9 * curl)
        fibre = cv2.remap(palette.noise(), angle * np.float32(256 / (2 * np.pi)) + bend, radius * np.float32(0.10 + 0.5 * curl),
                          cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        shift = crown - portrait.centre
        dome = np.clip(0.74 + (x + shift[0]) * (light[0] / 90) + (y + shift[1]) * (light[1] / 130), 0.38, 1.3)
        band = np.exp(-((radius - 36) / 12) ** 2) * np.float32(0.30 * (0.4 + portrait.a['light_strength']))
        tone = (dome * (1 + 0.15 * fibre) + band * (1 + 0.5 * fibre)) * np.float32(level)
        if portrait.drawing:
            tone = np.round(tone * 3) / 3
        return cv2.merge([tone * c + band * np.float32(14 * level) for c in self.colour])
