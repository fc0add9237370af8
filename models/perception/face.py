"""A detected face: its box and five landmarks, their plausibility, and the matching of boxes."""
from dataclasses import dataclass

import numpy as np
import torch

from models import geometry

OVERLAP = 0.3  # intersection over union from which on two boxes may show the same face

# Bounds of is_plausible, outside of what 16,700 aligned landmarks of CelebA and LFW and profiles of FASSEG have (5th column):
MAX_RESIDUAL = 0.5  # of the fit to the template, in the spread of the landmarks: 0.47 at the 99.9th percentile
MIN_CORNER = 0.8  # sine of each corner of the quadrilateral of eyes and mouth: 0.89
NOSE_RANGE = 0.0, 1.0  # height of the nose between the eyes (0) and the mouth (1): 0.05 to 0.93
SPREAD_RANGE = 0.13, 0.5  # spread of the landmarks in longer sides of the box: 0.185 to 0.26 of MTCNN, more in tighter boxes


@dataclass(frozen=True)
class Face:
    """A detected face: box (4,) x0, y0, x1, y1 and points (5,2) in the order of models.geometry, float32 pixels of the
    image; score in [0,1]."""

    box: np.ndarray
    points: np.ndarray
    score: float

    @property
    def area(self) -> float:
        return float(np.prod(np.maximum(self.box[2:] - self.box[:2], 0)))

    @property
    def center(self) -> np.ndarray:
        """(2,) of the box."""
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
    """Whether the landmarks form a face, whatever its in-plane rotation: close to the template, the quadrilateral of eyes and
    mouth convex and not mirrored, the nose between eyes and mouth, and of a size that fits the box."""
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
    if (cross < MIN_CORNER * lengths).any():
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


def paired(id_similarity: np.ndarray, least: float) -> list[tuple[int, int]]:
    """(row, column) of a table (N,M), the largest first, no row and no column twice, none below `least`."""
    id_similarity, found = id_similarity.astype(np.float64), []
    while id_similarity.size and id_similarity.max() >= least:
        row, column = np.unravel_index(id_similarity.argmax(), id_similarity.shape)
        id_similarity[row], id_similarity[:, column] = -np.inf, -np.inf
        found.append((int(row), int(column)))
    return found


def suppressed(faces: list[Face], kept: list[Face] = ()) -> list[Face]:
    """Non-maximum suppression: `kept`, and those of `faces`, by falling score, that overlap none before them."""
    result = list(kept)
    for face in sorted(faces, key=lambda face: -face.score):
        if not result or overlaps(face.box, np.array([other.box for other in result])).max() < OVERLAP:
            result.append(face)
    return result


def mapped(face: Face, matrix: np.ndarray) -> Face:
    """The face under an affine transform (2,3) of the image; the box becomes the upright one around the transformed center
    with the scaled sides."""
    linear = matrix[:, :2]
    half = (face.box[2:] - face.box[:2]) / 2 * np.sqrt(abs(np.linalg.det(linear)))
    if abs(linear[0, 0]) < abs(linear[0, 1]):  # closer to a quarter turn than to none
        half = half[::-1]
    center = linear @ face.center + matrix[:, 2]
    points = face.points @ linear.T + matrix[:, 2]
    return Face(np.concatenate([center - half, center + half]).astype(np.float32), points.astype(np.float32), face.score)
