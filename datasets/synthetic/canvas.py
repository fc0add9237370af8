"""Rasterization of polygons with subpixel corners into an image and its label map."""
import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike

from models.batch import PARTS

UNITS = 128.0  # units of the template `face` per side of the image
_SHIFT = 4     # fractional bits of the corners of polygons
_ID = {name: i for i, name in enumerate(PARTS)}

Polygons = list[np.ndarray]              # (N,2) int32 each, from Canvas.to_fixed_point
Groups = list[tuple[Polygons, float]]    # polygons and their opacity in [0,1]


class Layer(NamedTuple):
    """A blurred layer: its polygons, RGB color in 0..255, standard deviation of the blur in units, and a mask (S,S) in [0,1]
    that multiplies its alpha."""

    groups: Groups
    color: ArrayLike
    sigma: float
    mask: np.ndarray | None = None


class Canvas:
    """A square image (side,side,3) uint8 with a label map (side,side) uint8, initially 0.

    Polygons are lists of results of `to_fixed_point`. Colors are RGB in 0..255 and are clamped.
    """

    def __init__(self, image: np.ndarray):
        self.image = image
        self.side = len(image)
        self.scale = self.side / UNITS  # pixels per unit
        self.labels = np.zeros((self.side, self.side), np.uint8)

    def to_fixed_point(self, points: ArrayLike) -> np.ndarray:
        """(...,2) in units -> int32 pixels with _SHIFT fractional bits."""
        k = self.scale * (1 << _SHIFT)
        return np.rint(np.asarray(points) * k + (0.5 * k - 0.5 * (1 << _SHIFT))).astype(np.int32)

    def fill(self, polygons: Polygons, color: ArrayLike, *labels: str) -> None:
        """Fill polygons by the even-odd rule, antialiased, and write one label of PARTS for each."""
        cv2.fillPoly(self.image, polygons, np.asarray(color).tolist(), cv2.LINE_AA, _SHIFT)
        self.fill_labels(polygons, *labels)

    def fill_labels(self, polygons: Polygons, *labels: str) -> None:
        """Write one label of PARTS for each polygon, without antialiasing."""
        for polygon, label in zip(polygons, labels):
            cv2.fillPoly(self.labels, [polygon], _ID[label], cv2.LINE_8, _SHIFT)

    def coverage(self, *layers: Groups) -> np.ndarray:
        """(layers,side,side) uint8 coverage. Later groups of a layer overwrite earlier ones; the polygons of a group are filled
        by the even-odd rule."""
        masks = np.zeros((len(layers), self.side, self.side), np.uint8)
        for mask, groups in zip(masks, layers):
            for polygons, opacity in groups:
                cv2.fillPoly(mask, polygons, round(255 * opacity), cv2.LINE_AA, _SHIFT)
        return masks

    def composite(self, image: np.ndarray, *layers: Layer) -> np.ndarray:
        """An image (S,S,3) float32 with blurred layers composited over it, first to last; S divides the side."""
        size = len(image)
        alphas = downsample_masks(self.coverage(*[layer.groups for layer in layers]), size)
        for alpha, layer in zip(alphas, layers):
            alpha = blur(alpha, layer.sigma * size / UNITS)
            if layer.mask is not None:
                alpha *= layer.mask
            image = blend(image, solid(size, layer.color, np.float32), alpha)
        return image

    def downsampled(self, size: int) -> np.ndarray:
        """(size,size,3) float32: the image, by area means of the canvas."""
        return cv2.resize(self.image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)

    def labels_at(self, size: int) -> np.ndarray:
        """(size,size) uint8: a view of the label map; `size` divides the side."""
        step = self.side // size
        return self.labels[step - 1::step, step - 1::step]

    def strokes(self, closed: Polygons, opened: Polygons, width: float) -> np.ndarray:
        """(side,side) uint8: coverage of closed and open polylines, `width` units wide."""
        mask = np.zeros((self.side, self.side), np.uint8)
        for lines, is_closed in ((closed, True), (opened, False)):
            cv2.polylines(mask, lines, is_closed, 255, max(1, round(width * self.scale)), cv2.LINE_AA, _SHIFT)
        return mask


@lru_cache(maxsize=16)
def pixel_centers(side: int) -> np.ndarray:
    """(2,side,side) float32: x and y of the pixel centers of an image in units. Cached; callers must not modify it."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(UNITS / side) - 0.5
    return np.array(np.meshgrid(axis, axis))


def solid(side: int, color: ArrayLike, dtype: type = np.uint8) -> np.ndarray:
    """(side,side,3) of one RGB color in 0..255, rounded."""
    return np.asarray(cv2.repeat(np.rint(color).astype(dtype).reshape(1, 1, 3), side, side))


def downsample_masks(masks: np.ndarray, size: int) -> np.ndarray:
    """(N,side,side) uint8 -> (N,size,size) float32 in [0,1], area means; `size` divides the side."""
    column = cv2.resize(masks.reshape(-1, masks.shape[2]), (size, len(masks) * size), interpolation=cv2.INTER_AREA)
    return column.reshape(-1, size, size) * np.float32(1 / 255)


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of float32 values, truncated at 2.2 standard deviations; `sigma` in pixels."""
    k = 2 * math.ceil(2.2 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(values, (k, k), sigma))


def repeat_channels(values: np.ndarray) -> np.ndarray:
    """(H,W) -> (H,W,3); faster than broadcasting over three channels."""
    return np.asarray(cv2.merge((values, values, values)))


def blend(background: np.ndarray, foreground: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """alpha * foreground + (1 - alpha) * background of float32 images (H,W,3), with alpha (H,W) float32 in [0,1]."""
    return np.asarray(cv2.blendLinear(foreground, background, alpha, 1 - alpha))
