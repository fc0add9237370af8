"""Looking at data sets: whom they show, their images with what is known of them drawn in, and what a filter left out."""
import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from datasets.faces import BrokenImage, Faces, read_image
from datasets.loaders import build_faces
from datasets.preparation.webcaricature import DROPPED, REPORT, Filter, align_and_assess
from datasets.synthetic import exaggerate, render, sample_attributes, sample_identity
from datasets.synthetic.mean_face import MEAN_POINTS
from datasets.transforms.joint import face_frame, matrix_into
from datasets.webcaricature import seventeen
from models import geometry
from models.geometry import Template
from models.perception.parsers.parser import FaceParser, face_mask, face_probability
from models.pose import fit_pose

OVERLAYS = ('landmarks', 'face mask', 'head pose')
_SIDES = 320, 640  # pixels: a smaller image is enlarged to the first, a larger one reduced to the second
_MASK_SIDE = 256  # pixels of the square in which faces are parsed
_INK, _TINT, _AXES = (255, 214, 10), (46, 204, 113), ((230, 57, 70), (46, 147, 60), (29, 108, 232))
_AXIS = 45  # length of an axis of the head in pixels of the template `face`
_SHOWN = 8  # dropped images of each reason


@dataclass(frozen=True)
class View:
    """An image (H,W,3) uint8 RGB of a data set. landmarks (N,2) and the five points (5,2) lie in its pixels; labels (H,W) are
    ids of PARTS; None where unknown. frame: as datasets.faces.Face has it. verdict: why the filter of the caricature study leaves
    the image out, '' where it keeps it, None where it has no say."""

    name: str
    image: np.ndarray
    landmarks: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    frame: Template | None = None
    verdict: str | None = None

    @property
    def angles(self) -> np.ndarray | None:
        """(3,) yaw, pitch and roll in degrees."""
        return None if self.points is None else fit_pose(_tensor(self.points)[None], MEAN_POINTS).angles[0].numpy()


@dataclass(frozen=True)
class Dropped:
    """counts: `kept`, and each reason for leaving an image out. images: some that were left out, (H,W,3) uint8 RGB, with a
    word on each. source: where this is known from."""

    counts: Counter
    images: list[tuple[np.ndarray, str]]
    source: str


class Album:
    """people: who is shown and in how many images. A subclass writes `views`."""

    people: dict[str, int]

    def views(self, person: str, start: int = 0, stop: int | None = None) -> Iterator[View]:
        """A person's images; ValueError where an image cannot be read."""
        raise TypeError(f'{type(self).__name__} shows no images')

    @property
    def summary(self) -> str:
        """One sentence."""
        counts = sorted(self.people.values())
        each = counts[0] if counts[0] == counts[-1] else f'{counts[0]} to {counts[-1]}, mostly about {counts[len(counts) // 2]},'
        return f'{len(counts):,} people in {sum(counts):,} images, {each} of each'

    def dropped(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Dropped:
        """What the filter of the caricature study makes of all images. ValueError where they lack its 17 landmarks."""
        counts, images, total = Counter(), [], sum(self.people.values())
        for person in self.people:
            for view in self.views(person):
                if view.verdict is None:
                    raise ValueError('this data set has neither a report of a filter beside it (scripts/prepare_data.py writes '
                                     'one) nor 17 landmarks by which its images could be judged')
                counts[view.verdict or 'kept'] += 1
                if view.verdict and counts[view.verdict] <= _SHOWN:
                    images.append((overlaid(view, ('landmarks',)), f'{view.verdict}: {view.name}'))
                progress(counts.total(), total)
        return Dropped(counts, images, 'the filter of the caricature study, run over all images')


class Drawn(Album):
    """Faces that the suite draws: photos, and drawings that exaggerate the same people."""

    def __init__(self, people: int = 24, photos: int = 4, drawings: int = 2, size: int = 128):
        self.photos, self.drawings, self.size = photos, drawings, size
        self.people = {f'drawn person {number:03d}': photos + drawings for number in range(people)}

    def views(self, person: str, start: int = 0, stop: int | None = None) -> Iterator[View]:
        number = int(person.rsplit(' ', 1)[1])
        for index in range(self.photos + self.drawings)[start:stop]:
            drawing = index >= self.photos
            identity, kind = sample_identity(0, number), 'drawing' if drawing else 'photo'
            drawn = render(exaggerate(identity, 1.5) if drawing else identity,
                           sample_attributes(0, number * (self.photos + self.drawings) + index), self.size, domain=kind)
            yield View(f'{person}, {kind} {index}', drawn.image, drawn.landmarks, drawn.points, drawn.parsing,
                       verdict=_verdict(drawn.image, seventeen(drawn.landmarks)))


class OnDisk(Album):
    """A data set of datasets.loaders.FACES; ValueError as build_faces."""

    def __init__(self, name: str, root: str | Path):
        self.root, self.faces = Path(root), build_faces(name, root)
        counts = np.bincount(self.faces.labels, minlength=len(self.faces.identity_names))
        self.people = {str(who): int(count) for who, count in zip(self.faces.identity_names, counts) if count}

    def views(self, person: str, start: int = 0, stop: int | None = None) -> Iterator[View]:
        faces: Faces = self.faces
        for row in np.flatnonzero(faces.labels == np.searchsorted(faces.identity_names, person))[start:stop]:
            name, known = str(faces.files[row]), faces.columns.get('landmarks')
            known = None if known is None or np.isnan(known[row]).all() else known[row]
            try:
                image, labels, points = faces.read(row)
            except BrokenImage as error:
                raise ValueError(f'{name} cannot be read ({error.__cause__})') from error
            yield View(name, image, points if known is None else known, points, labels, faces.frame,
                       None if known is None else _verdict(image, known))

    def dropped(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Dropped:
        """As its report tells, where it was prepared by this suite; else as of any album."""
        if not (self.root / REPORT).is_file():
            return super().dropped(progress)
        with (self.root / REPORT).open(newline='', encoding='utf-8-sig') as handle:
            counts = Counter(row['reason'] or 'kept' for row in csv.DictReader(handle))
        sheet = self.root / DROPPED
        images = [(read_image(sheet), 'some of those that were left out')] if sheet.is_file() else []
        return Dropped(counts, images, f'{REPORT}, written when the data were prepared')


def overlaid(view: View, overlays: tuple[str, ...] = (), parser: FaceParser | None = None) -> np.ndarray:
    """The image, brought to a size that can be looked at, with some of OVERLAYS. parser: sees the face where its parts are
    unknown; without it there is then no mask."""
    height, width = view.image.shape[:2]
    low, high = _SIDES
    scale = max(low / min(height, width), 1.0) if max(height, width) < high else high / max(height, width)
    shown = cv2.resize(view.image, (round(width * scale), round(height * scale)),
                       interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)

    def there(points: np.ndarray) -> np.ndarray:
        return ((np.asarray(points) + 0.5) * scale - 0.5).round().astype(int)

    if 'face mask' in overlays and (mask := _mask(view, parser)) is not None:
        mask = cv2.resize(mask, shown.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
        shown[mask] = (0.6 * shown[mask] + 0.4 * np.array(_TINT)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, _TINT, 2, cv2.LINE_AA)
    if 'landmarks' in overlays and view.landmarks is not None:
        for x, y in there(view.landmarks[~np.isnan(view.landmarks).any(1)]).tolist():
            cv2.circle(shown, (x, y), 4, (20, 20, 20), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(shown, (x, y), 3, _INK, cv2.FILLED, cv2.LINE_AA)
    if 'head pose' in overlays and view.points is not None:
        pose = fit_pose(_tensor(view.points)[None], MEAN_POINTS)
        ends = torch.cat([MEAN_POINTS[2:3], MEAN_POINTS[2:3] + _AXIS * torch.eye(3)])  # the tip of the nose, and from there
        nose, *tips = there(pose.shift[0] + pose.scale[0] * (ends @ pose.rotation[0, :2].T)).tolist()
        for tip, color in zip(tips, _AXES):
            cv2.arrowedLine(shown, nose, tip, color, 3, cv2.LINE_AA, tipLength=0.2)
    return shown


def _mask(view: View, parser: FaceParser | None) -> np.ndarray | None:
    """(H,W) float32 in [0,1]."""
    if view.labels is not None:
        return face_mask(torch.from_numpy(view.labels)[None].long())[0, 0].numpy()
    if parser is None:
        return None
    size = view.image.shape[:2]
    matrix = matrix_into(face_frame(_MASK_SIDE), size, view.points, view.frame)
    image = torch.from_numpy(view.image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        face = face_probability(parser(geometry.warp(image, matrix, (_MASK_SIDE, _MASK_SIDE))))
        return geometry.warp(face, geometry.invert(matrix), size, padding='zeros')[0, 0].numpy()


def _verdict(image: np.ndarray, points: np.ndarray) -> str:
    return align_and_assess(image, np.asarray(points, np.float32), Filter())[1]['reason']


def _tensor(points: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(points, np.float32))
