"""A picture and its label map, painted side by side with sub-pixel polygons."""
import cv2
import numpy as np

from models.batch import PARTS

UNITS = 128.0  # units of the template `face` per side
_SHIFT = 4     # fractional bits of polygon corners
_ID = {name: i for i, name in enumerate(PARTS)}


class Canvas:
    """`side` pixels square. Points are (N,2) or (N,3 with a depth that is ignored), in units of the template."""

    def __init__(self, picture: np.ndarray):
        self.picture = picture  # uint8 (side,side,3)
        self.side = len(picture)
        self.scale = self.side / UNITS
        self.labels = np.zeros((self.side, self.side), np.uint8)

    def corners(self, points: np.ndarray) -> np.ndarray:
        """Units -> fixed-point pixels of cv2."""
        return np.rint(((points[:, :2] + 0.5) * self.scale - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def paint(self, points: np.ndarray, colour, label: str | None = None) -> None:
        cv2.fillPoly(self.picture, [self.corners(points)], tuple(map(float, colour)), cv2.LINE_AA, _SHIFT)
        if label:
            self.label(points, label)

    def label(self, points: np.ndarray, label: str) -> None:
        cv2.fillPoly(self.labels, [self.corners(points)], _ID[label], cv2.LINE_8, _SHIFT)

    def label_where(self, mask: np.ndarray, label: str) -> None:
        """mask: (side,side) uint8, at least half covered counts."""
        self.labels[mask > 127] = _ID[label]

    def around(self, outer: np.ndarray, inner: np.ndarray, colour) -> None:
        """Paint what lies between two outlines."""
        cv2.fillPoly(self.picture, [self.corners(outer), self.corners(inner)], tuple(map(float, colour)), cv2.LINE_AA, _SHIFT)

    def mask(self, *polygons: np.ndarray) -> np.ndarray:
        """(side,side) uint8: the union of polygons."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for points in polygons:
            cv2.fillPoly(mask, [self.corners(points)], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def lines(self, lines: list, colour, width: float, closed: bool = False) -> None:
        """Antialiased strokes, width in units."""
        cv2.polylines(self.picture, [self.corners(p) for p in lines], closed, tuple(map(float, colour)),
                      max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)

    def blend(self, polygons: list, colour, strength: float, softness: float = 0.0) -> None:
        """Paint the union of polygons with an opacity and, in units, a soft edge; touches only their neighbourhood."""
        corners = [self.corners(p) for p in polygons]
        low, high = np.concatenate(corners).min(0) >> _SHIFT, np.concatenate(corners).max(0) >> _SHIFT
        margin = 2 + int(2.5 * softness * self.scale)
        x0, y0 = np.maximum(low - margin, 0).tolist()
        x1, y1 = np.minimum(high + margin + 1, self.side).tolist()
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for c in corners:
            cv2.fillPoly(mask, [c - (x0 << _SHIFT, y0 << _SHIFT)], 255, cv2.LINE_AA, _SHIFT)
        if softness:
            mask = cv2.GaussianBlur(mask, (0, 0), softness * self.scale)
        region = self.picture[y0:y1, x0:x1]
        weight = mask * np.float32(strength / 255)
        flat = np.empty_like(region)
        flat[:] = np.clip(colour, 0, 255)
        region[:] = cv2.blendLinear(flat, np.ascontiguousarray(region), weight, 1 - weight)


def over(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Composite two float32 pictures by a weight (side,side) float32 in [0,1]."""
    return cv2.blendLinear(above, below, weight, 1 - weight)
