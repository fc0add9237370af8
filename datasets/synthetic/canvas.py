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

    def paint(self, polygons: list, colour, *labels: str) -> None:
        """Fill polygons, what lies in two of them excepted, and label each of them."""
        corners = [self.corners(p) for p in polygons]
        cv2.fillPoly(self.picture, corners, np.asarray(colour).tolist(), cv2.LINE_AA, _SHIFT)
        self.label(corners, *labels)

    def label(self, polygons: list, *labels: str) -> None:
        for points, label in zip(polygons, labels):
            cv2.fillPoly(self.labels, [self.corners(points)], _ID[label], cv2.LINE_8, _SHIFT)

    def mask(self, *groups) -> np.ndarray:
        """(side,side) uint8: one group of (polygons, strength in 0..1) over the other; what lies in two polygons of
        a group is left out."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for polygons, strength in groups:
            cv2.fillPoly(mask, [self.corners(p) for p in polygons], round(255 * strength), cv2.LINE_AA, _SHIFT)
        return mask

    def soft(self, picture: np.ndarray, groups: list, colour, softness: float, keep: np.ndarray | None = None) -> np.ndarray:
        """A float32 picture (S,S,3) with one colour over groups of `mask`, with a soft edge of `softness` units; `keep` (S,S)
        says where and how much of it."""
        size = len(picture)
        weight = blur(share(self.mask(*groups), size), softness * size / UNITS)
        if keep is not None:
            weight *= keep
        return over(picture, flat(size, colour, np.float32), weight)

    def reduced(self, size: int) -> np.ndarray:
        """(size,size,3) float32: the picture averaged down."""
        return cv2.resize(self.picture, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)

    def labels_at(self, size: int) -> np.ndarray:
        """A view of the label map at the whole or half of the canvas's side."""
        step = self.side // size
        return self.labels[step - 1::step, step - 1::step]

    def strokes(self, closed: list, opened: list, width: float) -> np.ndarray:
        """(side,side) uint8: lines of a width in units."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for lines, close in ((closed, True), (opened, False)):
            corners = [self.corners(p) for p in lines]
            cv2.polylines(mask, corners, close, 255, max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)
        return mask


@lru_cache(maxsize=16)
def positions(side: int) -> np.ndarray:
    """x and y, (2,side,side) float32, of the pixels of a picture, in units; not to be written to."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(UNITS / side) - 0.5
    return np.array(np.meshgrid(axis, axis))


def flat(side: int, colour, kind=np.uint8) -> np.ndarray:
    """(side,side,3) of one colour."""
    return cv2.repeat(np.rint(colour).astype(kind).reshape(1, 1, 3), side, side)


def share(mask: np.ndarray, size: int) -> np.ndarray:
    """uint8 mask -> (size,size) float32 in [0,1]."""
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) * np.float32(1 / 255)


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
