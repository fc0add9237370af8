"""A detected face: its box and five landmarks, their plausibility, and the matching of boxes."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models import geometry

MIN_IOU = 0.3  # intersection over union above which two boxes belong to the same face

# Bounds of is_plausible; the extremes of 16,700 aligned faces of CelebA and LFW and the profiles of FASSEG are in parentheses.
MAX_RESIDUAL = 0.5  # of the fit to the template, in spreads of the landmarks (99.9th percentile 0.47)
MIN_CORNER_SINE = 0.8  # sine of each corner of the quadrilateral of eyes and mouth (0.89)
NOSE_RANGE = 0.0, 1.0  # height of the nose between the eyes, 0, and the mouth, 1 (0.05 to 0.93)
SPREAD_RANGE = 0.13, 0.5  # spread of the landmarks in longer sides of the box (0.185 to 0.26 for MTCNN, more for tighter boxes)


@dataclass(frozen=True)
class Face:
    """A detected face: box (4,) x0, y0, x1, y1 and points (5,2) in the order of models.geometry, float32 pixels of the
    image; score in [0,1]."""

    box: np.ndarray
    points: np.ndarray
    score: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float(np.prod(np.maximum(self.box[2:] - self.box[:2], 0)))

    @property
    def center(self) -> np.ndarray:
        """Center (2,) of the box in pixels."""
        return (self.box[:2] + self.box[2:]) / 2

    @property
    def side(self) -> float:
        """Longer side of the box in pixels."""
        return float((self.box[2:] - self.box[:2]).max())

    @property
    def roll(self) -> float:
        """In-plane rotation in degrees, (-180,180]: 0 upright, 90 with the forehead to the viewer's right."""
        (a, _, _), (b, _, _) = _fit(self.points)
        return float(np.degrees(np.arctan2(b, a)))


def _fit(points: np.ndarray) -> np.ndarray:
    """(5,2) -> the similarity (2,3), float64, from the template `face` to the points."""
    template = geometry.template('face').tensor(dtype=torch.float64)
    return geometry.similarity(template, torch.as_tensor(points, dtype=torch.float64)).numpy()


def is_plausible(face: Face) -> bool:
    """Whether the landmarks are those of a face at any in-plane rotation: a small residual to the template, a convex
    quadrilateral of eyes and mouth that is not mirrored, the nose between eyes and mouth, and a spread that fits the box."""
    points = np.asarray(face.points, np.float64)
    if not np.isfinite(points).all():
        return False
    spread = float(np.sqrt(((points - points.mean(0)) ** 2).sum()))  # times sqrt(5) the standard deviation
    if not SPREAD_RANGE[0] <= spread / np.sqrt(5) / max(face.side, 1e-6) <= SPREAD_RANGE[1]:
        return False
    fit = _fit(points)
    template = np.array(geometry.template('face').points)
    if np.linalg.norm(template @ fit[:, :2].T + fit[:, 2] - points) > MAX_RESIDUAL * spread:
        return False
    edges = np.roll(points[[0, 1, 4, 3]], -1, 0) - points[[0, 1, 4, 3]]  # clockwise on the screen
    following = np.roll(edges, -1, 0)
    cross = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    lengths = np.linalg.norm(edges, axis=1) * np.linalg.norm(following, axis=1)
    if (cross < MIN_CORNER_SINE * lengths).any():
        return False
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    height = (points[2] - eyes) @ (mouth - eyes) / max(float((mouth - eyes) @ (mouth - eyes)), 1e-6)
    return bool(NOSE_RANGE[0] <= height <= NOSE_RANGE[1])


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N,4) with boxes (M,4) -> (N,M)."""
    first, second = first.reshape(-1, 1, 4), second.reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.maximum(sides, 0).prod(-1)
    areas = [np.maximum(box[..., 2:] - box[..., :2], 0).prod(-1) for box in (first, second)]
    return common / np.maximum(sum(areas) - common, 1e-6)


def paired(scores: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Greedy one-to-one matching of the rows and columns of scores (N,M): (row, column) by falling score, none below
    `threshold`."""
    scores, pairs = scores.astype(np.float64), []
    while scores.size and scores.max() >= threshold:
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        scores[row], scores[:, column] = -np.inf, -np.inf
        pairs.append((int(row), int(column)))
    return pairs


def suppressed(faces: list[Face], kept: Sequence[Face] = ()) -> list[Face]:
    """Non-maximum suppression: `kept`, then those of `faces`, by falling score, that overlap no earlier face."""
    result = list(kept)
    for face in sorted(faces, key=lambda face: -face.score):
        if not result or overlaps(face.box, np.array([other.box for other in result])).max() < MIN_IOU:
            result.append(face)
    return result


def mapped(face: Face, matrix: np.ndarray) -> Face:
    """The face under an affine transform (2,3) of the image; the box is axis-aligned around the transformed center, its sides
    scaled."""
    linear = matrix[:, :2]
    half = (face.box[2:] - face.box[:2]) / 2 * np.sqrt(abs(np.linalg.det(linear)))
    if abs(linear[0, 0]) < abs(linear[0, 1]):  # closer to a rotation by 90 degrees than to none
        half = half[::-1]
    center = linear @ face.center + matrix[:, 2]
    points = face.points @ linear.T + matrix[:, 2]
    return Face(np.concatenate([center - half, center + half]).astype(np.float32), points.astype(np.float32), face.score)
