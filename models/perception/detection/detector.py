"""Detection of faces at any in-plane rotation in photos of any size, with a network for upright faces.

Rotation: Rowley, Baluja & Kanade 1998 (doi:10.1109/CVPR.1998.698585) derotate a window before detection. This detector searches
windows at all rotations and adds the scores of those that agree. Small faces: overlapping tiles of an enlarged level of the image
pyramid.
"""
from itertools import product

import cv2
import numpy as np

from models.perception.detection.face import MIN_IOU, Face, is_plausible, mapped, overlaps, paired, suppressed

MAX_SIDE_PX = 1280  # longer side in pixels to which a larger image is reduced
MARGIN_PX = 24  # pixels of gray padding, for faces at the border of the image
GRAY = (127, 127, 127)  # RGB of pixels outside the image
MAX_UPRIGHT_ROLL_DEG = 40.0  # degrees of in-plane rotation up to which landmarks are accepted without a search

ROTATIONS = tuple(range(0, 360, 45))  # degrees of the crops of search_around
CROP_PX, CROP_FACE_PX = 120, 48  # pixels of the side of such a crop and of the face in it
MAX_SEARCHES = 12  # calls of search_around per pass, for the faces of highest score
MAX_DISAGREEMENT = 0.35  # distance of the landmarks of two crops, in spreads of the landmarks

FINE_SIDE_PX = 3 * MAX_SIDE_PX  # pixels of the longer side at which tiles are searched for small faces
TILE_PX, TILE_OVERLAP_PX = MAX_SIDE_PX, 160  # pixels
SMALL_FACE_PX = 60  # pixels of the reduced image; tiles are searched if the smallest detected face is below this
MIN_ENLARGEMENT = 1.5  # scale of tiles relative to the reduced image


class Detector:
    """Base of the detectors; a subclass implements `find` for upright faces.

    certain_score: minimum score of a plausible upright face that needs no search at other rotations. rotated_score: minimum score
    of a face of `search_around`.
    """

    certain_score, rotated_score = 0.999, 0.98

    def find(self, image: np.ndarray) -> list[Face]:
        """Upright faces of an image (H,W,3) uint8 RGB with sides of at most MAX_SIDE_PX + 2 * MARGIN_PX pixels, in any order."""
        raise TypeError(f'{type(self).__name__} does not implement find')

    def detect(self, image: np.ndarray, *, any_rotation: bool = True) -> list[Face]:
        """Faces of an image (H,W,3) uint8 RGB of any size, largest first. Raises ValueError for another array.

        The landmarks of all faces are plausible. Faces with implausible landmarks, a low score or a large in-plane rotation are
        searched again with `search_around`, at most MAX_SEARCHES per pass. any_rotation: an image without an upright face is
        searched at rotations by 90, 180 and 270 degrees too, at four times the cost. Where an image larger than MAX_SIDE_PX has
        no face, or one below SMALL_FACE_PX pixels of the reduced image, up to 16 tiles of its FINE_SIDE_PX level are searched for
        upright faces; this detects faces of at least 0.6 % of the longer side, at up to 17 times the cost.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'a detector takes an RGB image (H,W,3) in uint8, not {image.shape} in {image.dtype}')
        reduced = _reduced(image, MAX_SIDE_PX)
        ratio = _ratio(image, reduced)
        detections = [_scaled(face, ratio) for face in self._search(reduced)]
        upright, other, unconfirmed = self._verified(image, detections, certain_score=self.certain_score)
        faces = suppressed(other, upright)
        if not upright and any_rotation:
            faces = self._search_quarter_rotations(image, reduced, other)
        if all(abs(face.roll) <= MAX_UPRIGHT_ROLL_DEG for face in faces):
            faces = suppressed(unconfirmed, faces)
        enlargement = min(ratio.max(), FINE_SIDE_PX / MAX_SIDE_PX)
        if enlargement >= MIN_ENLARGEMENT and min((face.side for face in faces), default=0) < SMALL_FACE_PX * ratio.max():
            faces = suppressed(self._tiled(image), faces)
        return sorted(faces, key=lambda face: -face.area)

    def search_around(self, image: np.ndarray, face: Face) -> Face | None:
        """The face at any in-plane rotation near `face`, of which only the box is used, or None.

        `find` runs once, on a mosaic of crops at 8 rotations. Plausible faces of different crops whose landmarks agree add their
        scores; of the group with the highest sum, the face that is most upright in its crop is returned if the group's highest
        score reaches `rotated_score`.
        """
        side = max(face.side, 2.0) * CROP_PX / CROP_FACE_PX
        region = Region(image, face.center, side, CROP_PX)
        mosaic, matrices = np.empty((2 * CROP_PX, 4 * CROP_PX, 3), np.uint8), []
        for index, degrees in enumerate(ROTATIONS):
            y, x = CROP_PX * (index // 4), CROP_PX * (index % 4)
            mosaic[y:y + CROP_PX, x:x + CROP_PX], matrix = region.derotated(degrees)
            matrices.append(cv2.invertAffineTransform(matrix + [[0, 0, x], [0, 0, y]]))
        rolls, candidates = [], []
        for candidate in self._search(mosaic):
            column, row = (int(v) for v in np.clip(candidate.center // CROP_PX, 0, (3, 1)))
            offset = candidate.center - CROP_PX * np.array([column, row]) - (CROP_PX - 1) / 2
            if np.abs(offset).max() < CROP_FACE_PX / 2 and 0.6 < candidate.side / CROP_FACE_PX < 1.7 and is_plausible(candidate):
                rolls.append(abs(candidate.roll))
                candidates.append(mapped(candidate, matrices[4 * row + column]))
        if not candidates:
            return None
        scores = np.array([face.score for face in candidates])
        agree = _agreement(np.stack([face.points for face in candidates]))  # (N,N)
        votes = agree[(agree @ scores).argmax()]
        if scores[votes].max() < self.rotated_score:
            return None
        return candidates[int(np.where(votes, rolls, np.inf).argmin())]

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """The faces of the previous frame in the frame `image` (H,W,3) uint8 RGB, None for those that are lost."""
        if not faces:
            return []
        detections = self.detect(image, any_rotation=False)
        followed: list[Face | None] = [None] * len(faces)
        boxes = [np.array([face.box for face in group]).reshape(-1, 4) for group in (faces, detections)]
        for previous, current in paired(overlaps(*boxes), MIN_IOU):
            followed[previous] = detections[current]
        return followed

    def _search(self, image: np.ndarray) -> list[Face]:
        """Result of `find` for the image padded by MARGIN_PX, in pixels of the image."""
        padded = cv2.copyMakeBorder(image, MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX, cv2.BORDER_CONSTANT, value=GRAY)
        return [Face(np.asarray(face.box, np.float32) - MARGIN_PX, np.asarray(face.points, np.float32) - MARGIN_PX,
                     float(face.score)) for face in self.find(padded)]

    def _verified(self, image: np.ndarray, faces: list[Face], *, roll: float = 0.0, certain_score: float = np.inf
                  ) -> tuple[list[Face], list[Face], list[Face]]:
        """Verify faces detected in the image derotated by `roll` degrees. Returns the faces that are certain or confirmed by
        `search_around` at the same rotation, its results that replace other faces, and plausible faces without a result."""
        confirmed, other, unconfirmed, searches = [], [], [], 0
        for face in sorted(faces, key=lambda face: -face.score):
            plausible = is_plausible(face) and abs(_wrapped(face.roll - roll)) <= MAX_UPRIGHT_ROLL_DEG
            if plausible and face.score >= certain_score:
                confirmed.append(face)
                continue
            result = self.search_around(image, face) if searches < MAX_SEARCHES else None
            searches += 1
            if result is None:
                unconfirmed += [face] if plausible else []
            elif plausible and abs(_wrapped(result.roll - face.roll)) <= MAX_UPRIGHT_ROLL_DEG:
                confirmed.append(face)
            else:
                other.append(result)
        return confirmed, other, unconfirmed

    def _search_quarter_rotations(self, image: np.ndarray, reduced: np.ndarray, other: list[Face]) -> list[Face]:
        """Faces of the reduced image rotated by 90, 180 and 270 degrees, and those of `other` that overlap none of them."""
        ratio, (bottom, right) = _ratio(image, reduced), np.array(reduced.shape[:2]) - 1
        inverses = {1: [[0, -1, right], [1, 0, 0]], 2: [[-1, 0, right], [0, -1, bottom]], 3: [[0, 1, 0], [-1, 0, bottom]]}
        confirmed: list[Face] = []
        for quarters, inverse in inverses.items():
            detections = self._search(np.ascontiguousarray(np.rot90(reduced, quarters)))
            detections = [_scaled(mapped(face, np.array(inverse, float)), ratio) for face in detections]
            first, second, _ = self._verified(image, detections, roll=90 * quarters)
            confirmed, other = confirmed + first, other + second
        return suppressed(other, suppressed(confirmed))

    def _tiled(self, image: np.ndarray) -> list[Face]:
        """Upright faces of the tiles of the FINE_SIDE_PX level; a face belongs to the tile whose core contains its center."""
        fine = _reduced(image, FINE_SIDE_PX)
        detections, ratio = [], _ratio(image, fine)
        for (y0, y1), (x0, x1) in product(*(_intervals(length) for length in fine.shape[:2])):
            for face in self._search(fine[y0:y1, x0:x1]):
                face = mapped(face, np.array([[1.0, 0, x0], [0, 1.0, y0]]))
                inner = [start + TILE_OVERLAP_PX / 2 * (start > 0) for start in (x0, y0)]
                outer = [end - TILE_OVERLAP_PX / 2 * (end < length) for end, length in ((x1, fine.shape[1]), (y1, fine.shape[0]))]
                if (face.center >= inner).all() and (face.center < outer).all():
                    detections.append(_scaled(face, ratio))
        return self._verified(image, detections, certain_score=self.certain_score)[0]


def _wrapped(degrees: float) -> float:
    """Angle in degrees, wrapped to [-180,180)."""
    return (degrees + 180) % 360 - 180


def _reduced(image: np.ndarray, longest: int) -> np.ndarray:
    """The image with its longer side reduced to `longest` pixels; a smaller image is returned unchanged."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _ratio(image: np.ndarray, reduced: np.ndarray) -> np.ndarray:
    """Horizontal and vertical scale from the reduced image to the image, (2,) float32."""
    return np.array([image.shape[1] / reduced.shape[1], image.shape[0] / reduced.shape[0]], np.float32)


def _scaled(face: Face, ratio: np.ndarray) -> Face:
    """The face scaled by `ratio` about the corner of the first pixel."""
    box, points = (((part.reshape(-1, 2) + 0.5) * ratio - 0.5).astype(np.float32) for part in (face.box, face.points))
    return Face(box.reshape(4), points, face.score)


def _agreement(points: np.ndarray) -> np.ndarray:
    """Whether the landmarks (N,5,2) of each pair of faces are closer than MAX_DISAGREEMENT spreads: (N,N) bool."""
    spread = np.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum((1, 2)))
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum((2, 3)))
    return distance < MAX_DISAGREEMENT * np.minimum.outer(spread, spread)


class Region:
    """A square of `side` pixels around `center` (2,) of an image, for crops of `size` pixels at any in-plane rotation."""

    def __init__(self, image: np.ndarray, center: np.ndarray, side: float, size: int):
        self.center, self.scale, self.size = np.asarray(center, np.float64), size / side, size
        height, width = image.shape[:2]
        reach = side / np.sqrt(2) + 2
        x0, y0 = (int(np.clip(v, 0, end - 1)) for v, end in zip(self.center - reach, (width, height)))
        x1, y1 = (int(np.clip(v, low + 1, end)) for v, low, end in zip(self.center + reach, (x0, y0), (width, height)))
        part = np.ascontiguousarray(image[y0:y1, x0:x1])
        self.part = _reduced(part, max(1, round(max(part.shape) * self.scale)))
        ratio = _ratio(part, self.part).astype(np.float64)
        self.to_image = np.column_stack([np.diag(ratio), [x0, y0] + (ratio - 1) / 2])  # from pixels of the reduced part

    def derotated(self, degrees: float) -> tuple[np.ndarray, np.ndarray]:
        """Crop (size,size,3) in which a face of this roll is upright, and the transform (2,3) from the image to the crop."""
        matrix = cv2.getRotationMatrix2D((0.0, 0.0), degrees, self.scale)  # counterclockwise on the screen
        matrix[:, 2] = (self.size - 1) / 2 - matrix[:, :2] @ self.center
        from_part = matrix[:, :2] @ self.to_image + [[0, 0, matrix[0, 2]], [0, 0, matrix[1, 2]]]
        crop = cv2.warpAffine(self.part, from_part, (self.size, self.size), flags=cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_CONSTANT, borderValue=GRAY)
        return crop, matrix


def _intervals(length: int) -> list[tuple[int, int]]:
    """Starts and ends of the fewest tiles of TILE_PX pixels that cover `length` with an overlap of at least TILE_OVERLAP_PX."""
    count = max(1, -(-(length - TILE_OVERLAP_PX) // (TILE_PX - TILE_OVERLAP_PX)))
    starts = np.linspace(0, max(0, length - TILE_PX), count).round().astype(int).tolist()
    return [(start, min(start + TILE_PX, length)) for start in starts]
