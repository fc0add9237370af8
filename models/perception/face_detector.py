"""Detection in photos of any size and of heads at any in-plane rotation, around a network for upright faces.

Rotation: Rowley, Baluja & Kanade 1998 (doi:10.1109/CVPR.1998.698585) derotate a window before detection; here windows at
all rotations are searched and vote by their scores. Small faces: overlapping tiles of an enlarged level of the image pyramid.
"""
from itertools import product

import cv2
import numpy as np

from models.perception.face import OVERLAP, Face, is_plausible, mapped, overlaps, paired, suppressed

LONGEST = 1280  # pixels; a larger image is reduced to this for detection
MARGIN = 24  # pixels of gray around the image, so that faces cut by its border stay inside what a detector sees
GRAY = (127, 127, 127)
MAX_ROLL = 40.0  # degrees of in-plane rotation up to which a detector's landmarks are taken as they are

ROTATIONS = tuple(range(0, 360, 45))  # degrees at which the surroundings of a face are searched
CROP, CROP_FACE = 120, 48  # pixels of one of these crops, and of the face in it
MAX_SEARCHES = 12  # of surroundings in one image, for the doubtful faces of highest score
MAX_DISAGREEMENT = 0.35  # of landmarks that two crops show, in the spread of the landmarks

FINE_LONGEST = 3 * LONGEST  # pixels of the longer side at which tiles are searched for small faces
TILE, TILE_OVERLAP = LONGEST, 160  # pixels
SMALL_FACE = 60  # pixels of the reduced image; tiles are searched where the smallest face found is below this
MIN_ENLARGEMENT = 1.5  # of tiles against the reduced image


class Detector:
    """Detects faces in photos by a network for upright ones, which a subclass calls in `find`.

    certain: score from which on a plausible upright face is taken without a search at other rotations; rotated_score: least
    score of a face that `search_around` returns.
    """

    certain, rotated_score = 0.999, 0.98

    def find(self, image: np.ndarray) -> list[Face]:
        """(H,W,3) uint8 RGB of at most LONGEST + 2 * MARGIN pixels -> upright faces in its pixels, in any order."""
        raise TypeError(f'{type(self).__name__} finds no faces')

    def detect(self, image: np.ndarray, *, turned: bool = True) -> list[Face]:
        """(H,W,3) uint8 RGB of any size -> the faces, largest first. ValueError where the array is no such image.

        Landmarks of all faces are plausible. A face with implausible landmarks, a low score or a large in-plane rotation is
        searched again by `search_around`, for at most MAX_SEARCHES faces of a pass. turned: where no upright face is found, the
        image is searched at all four quarter turns, four times the work. Where an image larger than LONGEST shows no face or
        one below SMALL_FACE reduced pixels, tiles of its FINE_LONGEST level, at most 16 of the reduced image's size, are
        searched for upright faces: those of at least 0.6 % of the longer side are found, at up to 17 times the work.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'a detector wants an RGB image (H,W,3) in uint8, not {image.shape} in {image.dtype}')
        reduced = _reduced(image, LONGEST)
        ratio = _ratio(image, reduced)
        found = [_scaled(face, ratio) for face in self._search(reduced)]
        upright, other, unconfirmed = self._verified(image, found, certain=self.certain)
        faces = suppressed(other, upright)
        if not upright and turned:
            faces = self._quarter_turned(image, reduced, other)
        if all(abs(face.roll) <= MAX_ROLL for face in faces):
            faces = suppressed(unconfirmed, faces)
        enlargement = min(ratio.max(), FINE_LONGEST / LONGEST)
        if enlargement >= MIN_ENLARGEMENT and min((face.side for face in faces), default=0) < SMALL_FACE * ratio.max():
            faces = suppressed(self._tiled(image), faces)
        return sorted(faces, key=lambda face: -face.area)

    def search_around(self, image: np.ndarray, face: Face) -> Face | None:
        """The face in the surroundings of `face`, of which only size and place count, at any in-plane rotation, or None.

        One call of `find` on crops at 8 rotations side by side. Plausible faces of several crops that agree on the landmarks add
        their scores; of those with the highest sum the one that is most upright in its crop is returned, if one of them has
        `rotated_score`.
        """
        side = max(face.side, 2.0) * CROP / CROP_FACE
        region = Region(image, face.center, side, CROP)
        mosaic, matrices = np.empty((2 * CROP, 4 * CROP, 3), np.uint8), []
        for index, degrees in enumerate(ROTATIONS):
            y, x = CROP * (index // 4), CROP * (index % 4)
            mosaic[y:y + CROP, x:x + CROP], matrix = region.derotated(degrees)
            matrices.append(cv2.invertAffineTransform(matrix + [[0, 0, x], [0, 0, y]]))
        rolls, candidates = [], []
        for one in self._search(mosaic):
            column, row = (int(v) for v in np.clip(one.center // CROP, 0, (3, 1)))
            offset = one.center - CROP * np.array([column, row]) - (CROP - 1) / 2
            if np.abs(offset).max() < CROP_FACE / 2 and 0.6 < one.side / CROP_FACE < 1.7 and is_plausible(one):
                rolls.append(abs(one.roll))
                candidates.append(mapped(one, matrices[4 * row + column]))
        if not candidates:
            return None
        scores = np.array([one.score for one in candidates])
        agree = _agreement([one.points for one in candidates])  # (N,N)
        votes = agree[(agree @ scores).argmax()]
        if scores[votes].max() < self.rotated_score:
            return None
        return candidates[int(np.where(votes, rolls, np.inf).argmin())]

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """The faces of the frame before in this one, (H,W,3) uint8 RGB of a video; None for those that are not seen any more."""
        if not faces:
            return []
        found, answer = self.detect(image, turned=False), [None] * len(faces)
        boxes = [np.array([face.box for face in some]).reshape(-1, 4) for some in (faces, found)]
        for before, now in paired(overlaps(*boxes), OVERLAP):
            answer[before] = found[now]
        return answer

    def _search(self, image: np.ndarray) -> list[Face]:
        """`find` in an image with MARGIN around it; in the image's own pixels."""
        padded = cv2.copyMakeBorder(image, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=GRAY)
        return [Face(np.asarray(face.box, np.float32) - MARGIN, np.asarray(face.points, np.float32) - MARGIN, float(face.score))
                for face in self.find(padded)]

    def _verified(self, image: np.ndarray, faces: list[Face], *, roll: float = 0.0, certain: float = np.inf
                  ) -> tuple[list[Face], list[Face], list[Face]]:
        """Of faces that were found with the image derotated by `roll` degrees: those that are certain or that `search_around`
        shows at the same rotation; what it shows in place of others; and plausible ones in whose place it shows none."""
        confirmed, other, unconfirmed, searches = [], [], [], 0
        for face in sorted(faces, key=lambda face: -face.score):
            plausible = is_plausible(face) and abs(_turn(face.roll - roll)) <= MAX_ROLL
            if plausible and face.score >= certain:
                confirmed.append(face)
                continue
            again = self.search_around(image, face) if searches < MAX_SEARCHES else None
            searches += 1
            if again is None:
                unconfirmed += [face] if plausible else []
            elif plausible and abs(_turn(again.roll - face.roll)) <= MAX_ROLL:
                confirmed.append(face)
            else:
                other.append(again)
        return confirmed, other, unconfirmed

    def _quarter_turned(self, image: np.ndarray, reduced: np.ndarray, other: list[Face]) -> list[Face]:
        """Faces of an image without upright ones: those that its quarter turns show, and `other` in other places."""
        ratio, (bottom, right) = _ratio(image, reduced), np.array(reduced.shape[:2]) - 1
        backs = {1: [[0, -1, right], [1, 0, 0]], 2: [[-1, 0, right], [0, -1, bottom]], 3: [[0, 1, 0], [-1, 0, bottom]]}
        confirmed = []
        for quarters, back in backs.items():
            found = self._search(np.ascontiguousarray(np.rot90(reduced, quarters)))
            found = [_scaled(mapped(face, np.array(back, float)), ratio) for face in found]
            first, second, _ = self._verified(image, found, roll=90 * quarters)
            confirmed, other = confirmed + first, other + second
        return suppressed(other, suppressed(confirmed))

    def _tiled(self, image: np.ndarray) -> list[Face]:
        """Upright faces in the tiles of the FINE_LONGEST level, each by the tile in whose core its center lies."""
        fine = _reduced(image, FINE_LONGEST)
        found, ratio = [], _ratio(image, fine)
        for (y0, y1), (x0, x1) in product(*(_intervals(length) for length in fine.shape[:2])):
            for face in self._search(fine[y0:y1, x0:x1]):
                face = mapped(face, np.array([[1.0, 0, x0], [0, 1.0, y0]]))
                inner = [start + TILE_OVERLAP / 2 * (start > 0) for start in (x0, y0)]
                outer = [end - TILE_OVERLAP / 2 * (end < length) for end, length in ((x1, fine.shape[1]), (y1, fine.shape[0]))]
                if (face.center >= inner).all() and (face.center < outer).all():
                    found.append(_scaled(face, ratio))
        return self._verified(image, found, certain=self.certain)[0]


def _turn(degrees: float) -> float:
    """The same angle in [-180,180)."""
    return (degrees + 180) % 360 - 180


def _reduced(image: np.ndarray, longest: int) -> np.ndarray:
    """The image with its longer side reduced to `longest` pixels, or itself where it is no larger."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image


def _ratio(image: np.ndarray, reduced: np.ndarray) -> np.ndarray:
    """(2,) float32: horizontal and vertical pixels of the image in a reduced one."""
    return np.array([image.shape[1] / reduced.shape[1], image.shape[0] / reduced.shape[0]], np.float32)


def _scaled(face: Face, ratio: np.ndarray) -> Face:
    """The face in pixels `ratio` times as small; pixel areas, not pixel centers, are what is scaled."""
    box, points = (((part.reshape(-1, 2) + 0.5) * ratio - 0.5).astype(np.float32) for part in (face.box, face.points))
    return Face(box.reshape(4), points, face.score)


def _agreement(points: list[np.ndarray]) -> np.ndarray:
    """Landmarks of N faces, (5,2) each -> (N,N), whether their distance is below MAX_DISAGREEMENT of their spread."""
    points = np.stack(points)
    spread = np.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum((1, 2)))
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum((2, 3)))
    return distance < MAX_DISAGREEMENT * np.minimum.outer(spread, spread)


class Region:
    """A square of `side` pixels around `center` (2,) of the image, cut out at `size` pixels and any in-plane rotation."""

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
        """The square (size,size,3) in which a face of this roll is upright, and the transform (2,3) from the image to it."""
        matrix = cv2.getRotationMatrix2D((0.0, 0.0), degrees, self.scale)  # counterclockwise on the screen
        matrix[:, 2] = (self.size - 1) / 2 - matrix[:, :2] @ self.center
        own = matrix[:, :2] @ self.to_image + [[0, 0, matrix[0, 2]], [0, 0, matrix[1, 2]]]
        crop = cv2.warpAffine(self.part, own, (self.size, self.size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                              borderValue=GRAY)
        return crop, matrix


def _intervals(length: int) -> list[tuple[int, int]]:
    """Starts and ends of the fewest tiles of TILE pixels that cover `length` and overlap by at least TILE_OVERLAP."""
    count = max(1, -(-(length - TILE_OVERLAP) // (TILE - TILE_OVERLAP)))
    starts = np.linspace(0, max(0, length - TILE), count).round().astype(int).tolist()
    return [(start, min(start + TILE, length)) for start in starts]
