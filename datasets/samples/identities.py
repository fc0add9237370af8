"""Single faces with identity labels, for the training and evaluation of face recognition."""
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.data import is_training
from datasets.base import SizedDataset
from datasets.faces import PARTITIONS, Faces
from datasets.registry import build_faces
from datasets.samples.readable import Readable
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.transforms.exaggeration import exaggerate_image
from datasets.transforms.joint import Augmentation, into_frame, unpacked
from models.batch import FaceBatch, collate
from models.geometry import Template

_TRAIN_IDENTITIES, _TEST_IDENTITIES = 200, 40  # of the rendered faces


class IdentityImages(SizedDataset):
    """FaceBatch samples without the batch dimension, aligned to the template `to` by the landmarks of each image.

    Identity labels run from 0 to `num_identities` - 1; `names` holds their names. A key is an index or a pair (epoch, index); a
    sample depends only on the seed, the key and the files. An unreadable image is replaced by the next one of the list.
    augmentation: of the images, None for none. exaggerate: `amount` of datasets.transforms.exaggeration, 0 for none. min_images:
    smallest number of images of an identity; identities with fewer are left out.

    Raises ValueError if no identity has `min_images` images.
    """

    def __init__(self, faces: Faces, to: Template, *, min_images: int = 1, seed: int = 0,
                 augmentation: Augmentation | None = None, exaggerate: float = 0.0):
        _, label, count = np.unique(faces.labels, return_inverse=True, return_counts=True)
        if not (count >= min_images).any():
            raise ValueError(f'no identity in {faces.root} has {min_images} images; '
                             'use a data set with several images per identity')
        self.faces = faces.select(np.flatnonzero(count[label] >= min_images))
        self.to, self.seed, self.augmentation, self.exaggerate = to, seed, augmentation, exaggerate
        present, self._label = np.unique(self.faces.labels, return_inverse=True)
        self.num_identities = len(present)
        self.names: list[str] = self.faces.identity_names[present].tolist()
        self.readable = Readable(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: int | tuple[int, int]) -> FaceBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> FaceBatch:
        """The sample with a uint8 image."""
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        row, (pixels, _, landmarks) = self.readable.read_next(index)
        jitter = self.augmentation.sample(np.random.default_rng([self.seed, epoch, index])) if self.augmentation else None
        frame = self.faces.frame if landmarks is None else None  # landmarks are more accurate than the frame
        image, _, points = into_frame(pixels, None, landmarks, frame, self.to, jitter)
        if self.exaggerate:
            image = exaggerate_image(image, points, self.to, self.exaggerate,
                                     np.random.default_rng([self.seed, epoch, index, 1]))
        is_drawing = self.faces.columns.get('drawing')
        return FaceBatch(image, torch.tensor(self._label[row]), None if is_drawing is None else torch.tensor(is_drawing[row]))


class PhotoDrawingPairs(IdentityImages):
    """Photo and drawing pairs of an identity: a batch of N keys holds 2N samples, the photo of each pair before the drawing.

    A pair is image `index` and a random image of the other kind of the same identity. Identities without both kinds are left
    out; raises ValueError if none is left.
    """

    def __init__(self, faces: Faces, to: Template, **options: Any):
        if 'drawing' not in faces.columns:
            raise ValueError(f'{faces.root} does not mark drawings; use webcaricature or data.balanced=false')
        is_drawing = faces.columns['drawing']
        labels = np.intersect1d(faces.labels[is_drawing], faces.labels[~is_drawing])
        if not len(labels):
            raise ValueError(f'no identity in {faces.root} has both photos and drawings')
        super().__init__(faces.select(np.flatnonzero(np.isin(faces.labels, labels))), to, **options)
        is_drawing = self.faces.columns['drawing']
        self._rows = {(label, kind): np.flatnonzero((self._label == label) & (is_drawing == kind))
                      for label in range(self.num_identities) for kind in (False, True)}

    def batch(self, keys: list[tuple[int, int]]) -> FaceBatch:
        """2N samples with uint8 images."""
        samples = []
        for epoch, index in keys:
            rng, is_drawing = np.random.default_rng([self.seed, epoch, index, 2]), bool(self.faces.columns['drawing'][index])
            other = int(rng.choice(self._rows[int(self._label[index]), not is_drawing]))
            samples += [self.stored((epoch, row)) for row in ((other, index) if is_drawing else (index, other))]
        return collate(samples)


class RenderedIdentities(SizedDataset):
    """Rendered faces of `num_identities` identities in the template `to`.

    A key is an index or a pair (epoch, index); the identity label is index % num_identities, and each epoch renders another
    image of the identity. images: number of images per identity in an epoch. `names` is empty.
    """

    names: tuple[str, ...] = ()

    def __init__(self, to: Template, *, num_identities: int = _TRAIN_IDENTITIES, images: int = 10, seed: int = 0):
        self.to, self.num_identities, self.images, self.seed = to, num_identities, images, seed

    def __len__(self) -> int:
        return self.num_identities * self.images

    def __getitem__(self, key: int | tuple[int, int]) -> FaceBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> FaceBatch:
        """The sample with a uint8 image."""
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        label = index % self.num_identities
        side = max(self.to.width, self.to.height)
        rendering = render(sample_identity(self.seed, label), sample_attributes(self.seed, index + epoch * len(self)), side)
        return FaceBatch(into_frame(rendering.image, None, rendering.points, None, self.to)[0], torch.tensor(label))


def build_identities(name: str, root: str | Path | None, to: Template, partition: str = 'train', *, seed: int = 0,
                     augment: bool = False, balanced: bool = False,
                     exaggerate: float = 0.0) -> IdentityImages | RenderedIdentities:
    """Single faces of a data set by name, one of datasets.registry.FACES or `synthetic`.

    In training partitions identities have at least two images each; `augment` (a horizontal flip), `balanced`
    (PhotoDrawingPairs) and `exaggerate` apply to these partitions only. Raises ValueError as datasets.registry.build_faces does.
    """
    train = is_training(partition)
    if name == 'synthetic':
        if partition not in PARTITIONS:
            raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}')
        return RenderedIdentities(to, num_identities=_TRAIN_IDENTITIES if train else _TEST_IDENTITIES,
                                  seed=seed * len(PARTITIONS) + PARTITIONS.index(partition))
    faces = build_faces(name, root, partition)
    if not train:
        return IdentityImages(faces, to, seed=seed)
    kind = PhotoDrawingPairs if balanced else IdentityImages
    return kind(faces, to, seed=seed, min_images=2, augmentation=Augmentation(affine=0, color=0) if augment else None,
                exaggerate=exaggerate)
