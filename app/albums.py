"""Data sets for browsing: identities, images with annotations, and the images that a filter removes."""
import csv
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.views import LANDMARKS, View, render_view
from datasets.faces import BrokenImage, Faces, read_image
from datasets.preparation.webcaricature import DROPPED, REPORT, Filter, align_and_assess
from datasets.registry import build_faces
from datasets.synthetic import exaggerate, render, sample_attributes, sample_identity
from datasets.webcaricature import landmarks_from_68

_MAX_EXAMPLES = 8  # removed images that are shown of each reason
_EXAGGERATION = 1.5  # of rendered drawings
Progress = Callable[[int, int], None]  # called with the number of images done and the total


@dataclass(frozen=True)
class Removed:
    """Images that a filter removes. counts: number of images for `kept` and for each reason of removal. images: examples (H,W,3)
    uint8 RGB with captions. source: origin of the counts."""

    counts: Counter[str]
    images: list[tuple[np.ndarray, str]]
    source: str


class Album(ABC):
    """A data set for browsing. identities: number of images by the name of the identity."""

    identities: dict[str, int]

    @abstractmethod
    def views(self, identity: str, start: int = 0, stop: int | None = None) -> Iterator[View]:
        """The images of an identity. Raises ValueError if an image cannot be read."""

    @property
    def summary(self) -> str:
        """Numbers of identities and images."""
        counts = sorted(self.identities.values())
        low, median, high = counts[0], counts[len(counts) // 2], counts[-1]
        each = f'{low}' if low == high else f'{low} to {high} (median {median})'
        return f'{len(counts):,} identities, {sum(counts):,} images, {each} per identity'

    def removed(self, progress: Progress = lambda done, total: None) -> Removed:
        """The result of the filter of the caricature study for all images. Raises ValueError if they lack its 17 landmarks."""
        counts: Counter[str] = Counter()
        images, total = [], sum(self.identities.values())
        for identity in self.identities:
            for view in self.views(identity):
                reason = view.removal_reason
                if reason is None:
                    raise ValueError('this data set has neither a report of the filter (scripts/prepare_data.py writes one) nor '
                                     'the 17 landmarks that the filter needs')
                counts[reason or 'kept'] += 1
                if reason and counts[reason] <= _MAX_EXAMPLES:
                    images.append((render_view(view, (LANDMARKS,)), f'{reason}: {view.name}'))
                progress(counts.total(), total)
        return Removed(counts, images, 'the filter of the caricature study, run on all images')


class RenderedAlbum(Album):
    """Rendered faces: photos, and exaggerated drawings of the same identities. photos, drawings: images per identity. size: side
    in pixels."""

    def __init__(self, num_identities: int = 24, photos: int = 4, drawings: int = 2, size: int = 128):
        self.photos, self.drawings, self.size = photos, drawings, size
        self.identities = {f'rendered identity {number:03d}': photos + drawings for number in range(num_identities)}

    def views(self, identity: str, start: int = 0, stop: int | None = None) -> Iterator[View]:
        number = int(identity.rsplit(' ', 1)[1])
        for index in range(self.photos + self.drawings)[start:stop]:
            is_drawing = index >= self.photos
            vector, domain = sample_identity(0, number), 'drawing' if is_drawing else 'photo'
            rendering = render(exaggerate(vector, _EXAGGERATION) if is_drawing else vector,
                               sample_attributes(0, number * (self.photos + self.drawings) + index), self.size, domain=domain)
            yield View(f'{identity}, {domain} {index}', rendering.image, rendering.landmarks, rendering.points, rendering.parsing,
                       removal_reason=_removal_reason(rendering.image, landmarks_from_68(rendering.landmarks)))


class DiskAlbum(Album):
    """A data set of datasets.registry.FACES. Raises ValueError as build_faces does."""

    def __init__(self, name: str, root: str | Path):
        self.root, self.faces = Path(root), build_faces(name, root)
        counts = np.bincount(self.faces.labels, minlength=len(self.faces.identity_names))
        self.identities = {str(name): int(count) for name, count in zip(self.faces.identity_names, counts) if count}

    def views(self, identity: str, start: int = 0, stop: int | None = None) -> Iterator[View]:
        faces: Faces = self.faces
        column = faces.columns.get('landmarks')
        for row in np.flatnonzero(faces.labels == np.searchsorted(faces.identity_names, identity))[start:stop]:
            name = str(faces.files[row])
            landmarks = None if column is None or np.isnan(column[row]).all() else column[row]
            try:
                image, labels, points = faces.read(row)
            except BrokenImage as error:
                raise ValueError(f'{name} cannot be read ({error.__cause__})') from error
            yield View(name, image, points if landmarks is None else landmarks, points, labels, faces.frame,
                       None if landmarks is None else _removal_reason(image, landmarks))

    def removed(self, progress: Progress = lambda done, total: None) -> Removed:
        """The report in the folder of a data set prepared by scripts/prepare_data.py, otherwise as Album.removed."""
        if not (self.root / REPORT).is_file():
            return super().removed(progress)
        with (self.root / REPORT).open(newline='', encoding='utf-8-sig') as handle:
            counts = Counter(row['reason'] or 'kept' for row in csv.DictReader(handle))
        sheet = self.root / DROPPED
        images = [(read_image(sheet), 'examples of removed images')] if sheet.is_file() else []
        return Removed(counts, images, f'{REPORT}, written when the data set was prepared')


def _removal_reason(image: np.ndarray, landmarks: np.ndarray) -> str:
    """landmarks: (17,2) in pixels. Returns '' for images that the filter keeps."""
    return align_and_assess(image, np.asarray(landmarks, np.float32), Filter())[1]['reason']
