"""Hair: a region of the head's surface above a hairline, a shell that makes the head larger there, and strands."""
import cv2
import numpy as np

from . import palette

_TABLE, _REACH = 512, 2.6  # the hairline is a table over the surface coordinate s


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
        """(1,_TABLE) float32: hair grows where t < line(s)."""
        v = self.v
        s = np.linspace(-_REACH, _REACH, _TABLE, dtype=np.float32)
        w = np.abs(s)
        line = -0.41 - 0.035 * v['forehead_height'] - 0.03 * v['hairline'] + 0.16 * (w / 0.5) ** 2 * (w < 0.9)
        line -= 0.11 * max(v['hairline'], 0) * np.exp(-((w - 0.30) / 0.11) ** 2)
        part = 0.28 * v['parting']
        if v['fringe'] > 0.35:      # hair on the forehead, in locks
            depth = 0.10 + 0.12 * (v['fringe'] - 0.35) / 0.65
            line += depth * np.exp(-(w / 0.46) ** 6) * (1 + 0.18 * np.sin(s * 38 + 9 * part) + 0.10 * np.sin(s * 71))
        elif v['fringe'] > -0.4:    # swept away from the parting
            line += (0.05 + 0.16 * self.long) * np.clip(np.abs(s - part) / 0.4, 0, 1) ** 1.4 * np.exp(-(w / 0.62) ** 8)
        side = np.clip((w - 0.56) / 0.22, 0, 1)
        side = side * side * (3 - 2 * side)
        line += side * (1.9 if self.long else 0.34 + 0.12 * v['hair_length'])
        line += np.clip((w - 0.92) / 0.2, 0, 1) * 0.5
        return line[None].astype(np.float32)

    def _above(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        at = (s + _REACH) * ((_TABLE - 1) / (2 * _REACH))
        return cv2.remap(self._line, at, np.zeros_like(at), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - t

    def cap(self, s, t, scale: float) -> np.ndarray:
        """(side,side) float32 in [0,1]: where the surface seen at (s, t) wears hair; scale in pixels per unit."""
        return np.clip(self._above(s, t) * np.float32(60 * scale) + 0.5, 0, 1)

    def hull(self, head, see) -> list[np.ndarray]:
        """Outlines of the hair on the skull, in units of the picture."""
        p = head.vertices
        n = np.linalg.norm(p, axis=1, keepdims=True)
        st = p[:, :2] / np.maximum(n + p[:, 2:], 1e-3)
        hairy = (self._above(st[:, :1].copy(), st[:, 1:].copy())[:, 0] > 0) & (p[:, 1] < 18)
        lift = 1 + (self.thick - 1) * np.clip(0.75 - p[:, 1:2] / 60, 0.5, 1.7)
        outline = cv2.convexHull(np.ascontiguousarray(see(p[hairy] * lift[hairy]), np.float32))[:, 0]
        curl = self.v['hair_curl']
        if curl <= 0.15:
            return [outline]
        closed = np.concatenate([outline, outline[:1]])
        way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
        at = np.arange(0, way[-1], 9.0)
        r = 4.5 + 2.5 * curl + 1.2 * np.sin(at)
        x, y = np.interp(at, way, closed[:, 0]), np.interp(at, way, closed[:, 1])
        t = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ring = np.stack([np.cos(t), np.sin(t)], 1)
        return [outline, *[(np.array([a, b]) + ring * c).astype(np.float32) for a, b, c in zip(x, y, r)]]

    def behind(self, see) -> list[np.ndarray]:
        """Long hair that hangs behind the neck."""
        if not self.long:
            return []
        wide = 50 + 5 * self.v['hair_volume']
        wave = 2.5 * max(self.v['hair_curl'], 0)
        y = np.linspace(-30, 60 + 60 * self.v['hair_length'], 12)
        x = wide + 3 * np.sin(np.linspace(0, 2.6, 12)) + wave * np.sin(y / 5)
        right = np.stack([x, y, np.full(12, -14.0)], 1)
        return [see(np.concatenate([right, right[::-1] * (-1, 1, 1)]))]

    def strands(self, side: int, portrait, lit) -> np.ndarray:
        """(side,side,3) float32: the colour of hair at every pixel."""
        v, scale = self.v, side / 128
        crown = portrait.see([(30 * v['parting'], -62, 24)])[0]
        axis = (np.arange(side, dtype=np.float32) + 0.5) / scale - 0.5
        x, y = np.meshgrid(axis - np.float32(crown[0]), axis - np.float32(crown[1]))
        radius, angle = cv2.cartToPolar(x, y)
        curl = 0.05 + 0.5 * max(v['hair_curl'], 0)
        bent = angle * 40 + np.sin(radius * np.float32(0.11 + 0.12 * max(v['hair_curl'], 0))) * np.float32(6 * curl)
        fibre = cv2.remap(palette.noise(), bent * np.float32(256 / (40 * 2 * np.pi) * 0.999), radius * np.float32(0.25 + 0.6 * curl),
                          cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        centre = portrait.centre
        dome = np.clip(0.72 + (x + np.float32(crown[0] - centre[0])) * np.float32(portrait.light[0] / 90)
                       + (y + np.float32(crown[1] - centre[1])) * np.float32(portrait.light[1] / 130), 0.35, 1.3)
        band = np.exp(-((radius - 30) / 11) ** 2) * np.float32(0.30 * (0.4 + portrait.a['light_strength']))
        tone = (dome * (1 + 0.16 * fibre) + band * (1 + 0.5 * fibre)) * np.float32(2 ** (0.40 * portrait.a['exposure']))
        return tone[..., None] * self.colour
