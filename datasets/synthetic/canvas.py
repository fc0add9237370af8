"""A picture and its label map, painted side by side with sub-pixel polygons."""
import math
from functools import lru_cache

import cv2
import numpy as np

from models.batch import PARTS

UNITS = 128.0  # units of the template `face` per side
_SHIFT = 4     # fractional bits of polygon corners
_ID = {name: i for i, name in enumerate(PARTS)}


class Canvas:
    """`side` pixels square. Points are (N,2) in units of the template, or what `corners` makes of them; colours RGB in 0..255
    (what exceeds the range is clipped)."""

    def __init__(self, picture: np.ndarray):
        self.picture = picture  # uint8 (side,side,3)
        self.side = len(picture)
        self.scale = self.side / UNITS
        self.labels = np.zeros((self.side, self.side), np.uint8)

    def corners(self, points) -> np.ndarray:
        """Units -> fixed-point pixels of cv2 (int32)."""
        points = np.asarray(points)
        if points.dtype == np.int32:
            return points
        k = self.scale * (1 << _SHIFT)
        return np.rint(points * k + (0.5 * k - 0.5 * (1 << _SHIFT))).astype(np.int32)

    def paint(self, points, colour, label: str | None = None) -> None:
        corners = [self.corners(points)]
        cv2.fillPoly(self.picture, corners, np.asarray(colour).tolist(), cv2.LINE_AA, _SHIFT)
        if label:
            cv2.fillPoly(self.labels, corners, _ID[label], cv2.LINE_8, _SHIFT)

    def label(self, points, label: str) -> None:
        cv2.fillPoly(self.labels, [self.corners(points)], _ID[label], cv2.LINE_8, _SHIFT)

    def around(self, outer, inner, colour) -> None:
        """Paint what lies between two outlines."""
        cv2.fillPoly(self.picture, [self.corners(outer), self.corners(inner)], np.asarray(colour).tolist(), cv2.LINE_AA, _SHIFT)

    def mask(self, polygons: list) -> np.ndarray:
        """(side,side) uint8: the union of polygons."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for points in polygons:
            cv2.fillPoly(mask, [self.corners(points)], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def strokes(self, closed: list, opened: list, width: float) -> np.ndarray:
        """(side,side) uint8: lines of a width in units."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for lines, close in ((closed, True), (opened, False)):
            corners = [self.corners(p) for p in lines]
            cv2.polylines(mask, corners, close, 255, max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)
        return mask

    def soft(self, groups: list, colour, softness: float, within: str | None = None) -> None:
        """Blend one colour over groups of (polygons that do not overlap, strength in 0..1), with a soft edge of `softness`
        units; `within` keeps it on one label."""
        corners = [[self.corners(p) for p in polygons] for polygons, _ in groups]
        left, top, width, height = cv2.boundingRect(np.concatenate([c for group in corners for c in group]))
        margin = 2 + int(2.5 * softness * self.scale)
        x0, y0 = max((left >> _SHIFT) - margin, 0), max((top >> _SHIFT) - margin, 0)
        x1, y1 = [min((v >> _SHIFT) + margin + 1, self.side) for v in (left + width, top + height)]
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corner = (x0 << _SHIFT, y0 << _SHIFT)
        for group, (_, strength) in zip(corners, groups):
            cv2.fillPoly(mask, [c - corner for c in group], round(255 * strength), cv2.LINE_AA, _SHIFT)
        weight = blur(mask * np.float32(1 / 255), softness * self.scale)
        if within:
            weight *= self.labels[y0:y1, x0:x1] == _ID[within]
        region = self.picture[y0:y1, x0:x1]
        region[:] = cv2.blendLinear(flat(region.shape, colour), np.ascontiguousarray(region), weight, 1 - weight)


@lru_cache(maxsize=16)
def positions(side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y, (side,side) float32 each, of the pixels of a picture, in units; not to be written to."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(UNITS / side) - 0.5
    return tuple(np.ascontiguousarray(m) for m in np.meshgrid(axis, axis))


def flat(shape: tuple, colour) -> np.ndarray:
    """uint8 (H,W,3) of one colour."""
    return cv2.rectangle(np.empty(shape, np.uint8), (0, 0), shape[1::-1], np.asarray(colour).tolist(), -1)


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of float32, cut off at 2.2 deviations."""
    k = 2 * math.ceil(2.2 * sigma) + 1
    return cv2.GaussianBlur(values, (k, k), sigma)


def rgb(values: np.ndarray) -> np.ndarray:
    """(H,W) -> (H,W,3); faster than broadcasting over three channels."""
    return cv2.merge((values, values, values))


def over(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Composite two float32 pictures by a weight (side,side) float32 in [0,1]."""
    return cv2.blendLinear(above, below, weight, 1 - weight)
