"""Single faces with whom they show, for the training and measuring of face recognition."""
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.faces import PARTITIONS, Faces
from datasets.loaders import build_faces
from datasets.swaps import Readable
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.transforms import Augmentation, into_frame, unpacked
from models.batch import FaceBatch
from models.geometry import Template

_PATIENCE = 50  # unreadable pictures in a row before giving up


class People(Dataset):
    """FaceBatch samples without the batch dimension, each aligned by itself to the template `to`; people are counted anew, from
    0 to `people` - 1.

    A key is an index or a pair (epoch, index); a sample depends on nothing but seed, key and the files. An unreadable picture
    gives way to the next one of the list. fewest: people with fewer pictures are left out; ValueError where nobody is left.
    """

    def __init__(self, faces: Faces, to: Template, *, fewest: int = 1, seed: int = 0, augmentation: Augmentation | None = None):
        _, place, count = np.unique(faces.persons, return_inverse=True, return_counts=True)
        if not (count >= fewest).any():
            raise ValueError(f'nobody in {faces.root} has {fewest} pictures; give a data set with several pictures per person')
        self.faces = faces.select(np.flatnonzero(count[place] >= fewest))
        self.to, self.seed, self.augmentation = to, seed, augmentation
        present, self._person = np.unique(self.faces.persons, return_inverse=True)
        self.people = len(present)
        self.readable = Readable(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: int | tuple[int, int]) -> FaceBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> FaceBatch:
        """The sample with its picture still uint8."""
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        for step in range(min(_PATIENCE, len(self))):
            found = (index + step) % len(self)
            if (read := self.readable.read(found)) is not None:
                break
        else:
            raise RuntimeError(f'no readable picture among {_PATIENCE} in a row from {self.faces.path(index)} on; '
                               'check the disk or unpack the data again')
        jitter = self.augmentation.draw(np.random.default_rng([self.seed, epoch, index])) if self.augmentation else None
        picture, _, points = read
        frame = self.faces.frame if points is None else None  # its own landmarks fit a face better than the data set's frame
        return FaceBatch(into_frame(picture, None, points, frame, self.to, jitter)[0], torch.tensor(self._person[found]))


class DrawnPeople(Dataset):
    """Drawn faces of `people` persons, in the template `to`. A key is an index, whose person is index % people, or a pair
    (epoch, index), which shows that person in another picture in each epoch."""

    def __init__(self, to: Template, *, people: int = 200, pictures: int = 10, seed: int = 0):
        self.to, self.people, self.pictures, self.seed = to, people, pictures, seed

    def __len__(self) -> int:
        return self.people * self.pictures

    def __getitem__(self, key: int | tuple[int, int]) -> FaceBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> FaceBatch:
        """The sample with its picture still uint8."""
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        person = index % self.people
        side = max(self.to.width, self.to.height)
        drawn = render(sample_identity(self.seed, person), sample_attributes(self.seed, index + epoch * len(self)), side)
        return FaceBatch(into_frame(drawn.picture, None, drawn.points, None, self.to)[0], torch.tensor(person))


def build_people(name: str, root: str | Path | None, to: Template, partition: str = 'train', *, seed: int = 0,
                 augment: bool = False) -> Dataset:
    """Single faces of a data set by name (a set of faces, or `synthetic`). In the train partition people have at least two
    pictures each, and only there is `augment` (a flip) heeded. ValueError as for datasets.loaders.build_faces."""
    train = partition == 'train'
    if name == 'synthetic':
        if partition not in PARTITIONS:
            raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}')
        return DrawnPeople(to, people=200 if train else 40, seed=seed * len(PARTITIONS) + PARTITIONS.index(partition))
    flip = Augmentation(affine=0, colour=0) if augment and train else None
    return People(build_faces(name, root, partition), to, fewest=2 if train else 1, seed=seed, augmentation=flip)
