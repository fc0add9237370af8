"""Single faces with whom they show, for the training and measuring of face recognition."""
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.exaggeration import exaggerate_image
from datasets.faces import PARTITIONS, Faces
from datasets.loaders import build_faces
from datasets.settings import is_training
from datasets.swaps import Readable
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.transforms import Augmentation, into_frame, unpacked
from models.batch import FaceBatch, collate
from models.geometry import Template

_PATIENCE = 50  # unreadable images in a row before giving up


class People(Dataset):
    """FaceBatch samples without the batch dimension, each aligned by itself to the template `to`; people are counted anew, from
    0 to `people` - 1, and called `names`.

    A key is an index or a pair (epoch, index); a sample depends on nothing but seed, key and the files. An unreadable image
    gives way to the next one of the list. fewest: people with fewer images are left out; ValueError where nobody is left.
    exaggerate: how far datasets.exaggeration goes.
    """

    def __init__(self, faces: Faces, to: Template, *, fewest: int = 1, seed: int = 0, augmentation: Augmentation | None = None,
                 exaggerate: float = 0.0):
        _, place, count = np.unique(faces.persons, return_inverse=True, return_counts=True)
        if not (count >= fewest).any():
            raise ValueError(f'nobody in {faces.root} has {fewest} images; give a data set with several images per person')
        self.faces = faces.select(np.flatnonzero(count[place] >= fewest))
        self.to, self.seed, self.augmentation, self.exaggerate = to, seed, augmentation, exaggerate
        present, self._person = np.unique(self.faces.persons, return_inverse=True)
        self.people = len(present)
        self.names = self.faces.people[present].tolist()
        self.readable = Readable(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: int | tuple[int, int]) -> FaceBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> FaceBatch:
        """The sample with its image still uint8."""
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        for step in range(min(_PATIENCE, len(self))):
            found = (index + step) % len(self)
            if (read := self.readable.read(found)) is not None:
                break
        else:
            raise RuntimeError(f'no readable image among {_PATIENCE} in a row from {self.faces.path(index)} on; '
                               'check the disk or unpack the data again')
        jitter = self.augmentation.draw(np.random.default_rng([self.seed, epoch, index])) if self.augmentation else None
        image, _, points = read
        frame = self.faces.frame if points is None else None  # its own landmarks fit a face better than the data set's frame
        image, _, points = into_frame(image, None, points, frame, self.to, jitter)
        if self.exaggerate:
            image = exaggerate_image(image, points, self.to, self.exaggerate,
                                         np.random.default_rng([self.seed, epoch, index, 1]))
        drawing = self.faces.columns.get('drawing')
        return FaceBatch(image, torch.tensor(self._person[found]), None if drawing is None else torch.tensor(drawing[found]))


class Couples(People):
    """As People, but a batch of N keys holds N couples: image `index` and one of the other kind of its person, drawn by the
    key, the photo before the drawing. Who was not both photographed and drawn is left out; ValueError where nobody is left."""

    def __init__(self, faces: Faces, to: Template, **options):
        if 'drawing' not in faces.columns:
            raise ValueError(f'{faces.root} does not say which images are drawings; take webcaricature or data.balanced=false')
        drawing = faces.columns['drawing']
        both = np.intersect1d(faces.persons[drawing], faces.persons[~drawing])
        if not len(both):
            raise ValueError(f'nobody in {faces.root} was both photographed and drawn')
        super().__init__(faces.select(np.flatnonzero(np.isin(faces.persons, both))), to, **options)
        drawing = self.faces.columns['drawing']
        self._rows = {(person, kind): np.flatnonzero((self._person == person) & (drawing == kind))
                      for person in range(self.people) for kind in (False, True)}

    def batch(self, keys: list[tuple[int, int]]) -> FaceBatch:
        """2N samples, their images still uint8."""
        samples = []
        for epoch, index in keys:
            rng, drawing = np.random.default_rng([self.seed, epoch, index, 2]), bool(self.faces.columns['drawing'][index])
            other = int(rng.choice(self._rows[int(self._person[index]), not drawing]))
            samples += [self.stored((epoch, row)) for row in ((other, index) if drawing else (index, other))]
        return collate(samples)


class DrawnPeople(Dataset):
    """Drawn faces of `people` persons, in the template `to`. A key is an index, whose person is index % people, or a pair
    (epoch, index), which shows that person in another image in each epoch. `names` is empty: nobody real is shown."""

    names: tuple[str, ...] = ()

    def __init__(self, to: Template, *, people: int = 200, images: int = 10, seed: int = 0):
        self.to, self.people, self.images, self.seed = to, people, images, seed

    def __len__(self) -> int:
        return self.people * self.images

    def __getitem__(self, key: int | tuple[int, int]) -> FaceBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> FaceBatch:
        """The sample with its image still uint8."""
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        person = index % self.people
        side = max(self.to.width, self.to.height)
        drawn = render(sample_identity(self.seed, person), sample_attributes(self.seed, index + epoch * len(self)), side)
        return FaceBatch(into_frame(drawn.image, None, drawn.points, None, self.to)[0], torch.tensor(person))


def build_people(name: str, root: str | Path | None, to: Template, partition: str = 'train', *, seed: int = 0,
                 augment: bool = False, balanced: bool = False, exaggerate: float = 0.0) -> Dataset:
    """Single faces of a data set by name (a set of faces, or `synthetic`). In the train partition people have at least two
    images each, and only there are `augment` (a flip), `balanced` (Couples) and `exaggerate` heeded. ValueError as for
    datasets.loaders.build_faces."""
    train = is_training(partition)
    if name == 'synthetic':
        if partition not in PARTITIONS:
            raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}')
        return DrawnPeople(to, people=200 if train else 40, seed=seed * len(PARTITIONS) + PARTITIONS.index(partition))
    flip = Augmentation(affine=0, color=0) if augment and train else None
    faces = build_faces(name, root, partition)
    options = {'fewest': 2, 'augmentation': flip, 'exaggerate': exaggerate} if train else {}
    return (Couples if balanced and train else People)(faces, to, seed=seed, **options)
