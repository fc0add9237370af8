"""Rasterization of subpixel polygons into an image and its label map."""
import math
from functools import lru_cache

import cv2
import numpy as np

from models.batch import PARTS

UNITS = 128.0  # units of the template `face` per side
_SHIFT = 4     # fractional bits of polygon corners
_ID = {name: i for i, name in enumerate(PARTS)}


class Canvas:
    """A square image of `side` pixels with a label map. Polygons are lists of results of `corners`; colors are RGB in 0..255
    and are clamped."""

    def __init__(self, image: np.ndarray):
        self.image = image  # uint8 (side,side,3)
        self.side = len(image)
        self.scale = self.side / UNITS
        self.labels = np.zeros((self.side, self.side), np.uint8)

    def corners(self, points) -> np.ndarray:
        """(...,2) in units of the template -> fixed-point pixels of cv2 (int32)."""
        k = self.scale * (1 << _SHIFT)
        return np.rint(np.asarray(points) * k + (0.5 * k - 0.5 * (1 << _SHIFT))).astype(np.int32)

    def paint(self, polygons: list, color, *labels: str) -> None:
        """Fill polygons by the even-odd rule and write one label for each."""
        cv2.fillPoly(self.image, polygons, np.asarray(color).tolist(), cv2.LINE_AA, _SHIFT)
        self.label(polygons, *labels)

    def label(self, polygons: list, *labels: str) -> None:
        for polygon, label in zip(polygons, labels):
            cv2.fillPoly(self.labels, [polygon], _ID[label], cv2.LINE_8, _SHIFT)

    def masks(self, *layers: list) -> np.ndarray:
        """(layers,side,side) uint8 coverage. A layer is a list of groups (polygons, strength in 0..1), of which later ones
        overwrite earlier ones; the polygons of a group are filled by the even-odd rule."""
        masks = np.zeros((len(layers), self.side, self.side), np.uint8)
        for mask, groups in zip(masks, layers):
            for polygons, strength in groups:
                cv2.fillPoly(mask, polygons, round(255 * strength), cv2.LINE_AA, _SHIFT)
        return masks

    def soft(self, image: np.ndarray, *layers: tuple) -> np.ndarray:
        """A float32 image (S,S,3) with blurred layers composited over it. A layer is a tuple (groups as in `masks`, color,
        standard deviation of the blur in units, weight (S,S) in [0,1] or None)."""
        size = len(image)
        weights = shares(self.masks(*[groups for groups, *_ in layers]), size)
        for weight, (_, color, softness, keep) in zip(weights, layers):
            weight = blur(weight, softness * size / UNITS)
            if keep is not None:
                weight *= keep
            image = over(image, flat(size, color, np.float32), weight)
        return image

    def reduced(self, size: int) -> np.ndarray:
        """(size,size,3) float32: the image downsampled by area averaging."""
        return cv2.resize(self.image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)

    def labels_at(self, size: int) -> np.ndarray:
        """A view of the label map at the full or half resolution."""
        step = self.side // size
        return self.labels[step - 1::step, step - 1::step]

    def strokes(self, closed: list, opened: list, width: float) -> np.ndarray:
        """(side,side) uint8: coverage of closed and open polylines of a width in units."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for lines, close in ((closed, True), (opened, False)):
            cv2.polylines(mask, lines, close, 255, max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)
        return mask


@lru_cache(maxsize=16)
def positions(side: int) -> np.ndarray:
    """x and y, (2,side,side) float32, of the pixel centers of an image, in units. Cached; not to be modified."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(UNITS / side) - 0.5
    return np.array(np.meshgrid(axis, axis))


def flat(side: int, color, kind=np.uint8) -> np.ndarray:
    """(side,side,3) of one color."""
    return cv2.repeat(np.rint(color).astype(kind).reshape(1, 1, 3), side, side)


def shares(masks: np.ndarray, size: int) -> np.ndarray:
    """uint8 masks (N,side,side) -> (N,size,size) float32 in [0,1]; the side is a multiple of the size."""
    column = cv2.resize(masks.reshape(-1, masks.shape[2]), (size, len(masks) * size), interpolation=cv2.INTER_AREA)
    return column.reshape(-1, size, size) * np.float32(1 / 255)


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of float32, truncated at 2.2 standard deviations."""
    k = 2 * math.ceil(2.2 * sigma) + 1
    return cv2.GaussianBlur(values, (k, k), sigma)


def rgb(values: np.ndarray) -> np.ndarray:
    """(H,W) -> (H,W,3); faster than broadcasting over three channels."""
    return cv2.merge((values, values, values))


def over(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Composite two float32 images by a weight (side,side) float32 in [0,1]."""
    return cv2.blendLinear(above, below, weight, 1 - weight)
