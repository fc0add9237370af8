"""Faces with label maps, for the training and evaluation of face parsers.

The kind of a folder is determined by its contents:
    images/ masks/ index.csv   FASSEG (datasets.fasseg)
    labeled.npy                a cache with the labels of a teacher (datasets.preparation.pseudo_labels)
    CelebA-HQ-img/             CelebAMask-HQ (datasets.celebamask)
"""
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.base import SizedDataset
from datasets.celebamask import celebamask
from datasets.faces import PARTITIONS, Faces, check_root
from datasets.fasseg import eye_mouth_centers, fasseg
from datasets.preparation.pseudo_labels import LABELED, LabeledFaces
from datasets.samples.readable import MAX_ATTEMPTS, Readable
from datasets.synthetic import SyntheticFaces
from datasets.synthetic.occluders import OCCLUDERS, occlude
from datasets.transforms.joint import MIRRORED, face_frame
from models import geometry
from models.batch import IGNORED, PARTS, ParsingBatch
from models.images import to_tensor, to_uint8

SOURCE_WEIGHTS = {'labels': 16, 'coarse': 6, 'synthetic': 4}  # relative frequency in training
_MIRRORED = torch.from_numpy(MIRRORED).long()
_GRAY_PROBABILITY, _LOW_RESOLUTION_PROBABILITY = 0.15, 0.5


class ParsingSource(Protocol):
    """Images with label maps from which ParsingSamples are sampled. coarse: labels are ids of COARSE instead of PARTS."""

    coarse: bool

    def __len__(self) -> int: ...

    def sample(self, index: int, rng: np.random.Generator | None = None) -> ParsingBatch | None:
        """An image, augmented if `rng` is not None; None if the image is unreadable or cannot be aligned."""


class LabeledImages:
    """The images of a list of faces with label maps, aligned to the template `face` at `size` pixels.

    Alignment uses the frame of the list, or otherwise the centers of eyes and mouth. coarse: labels are ids of COARSE instead of
    PARTS. occluded: probability of a rendered occluder in an augmented sample.
    """

    def __init__(self, faces: Faces, size: int, *, coarse: bool, occluded: float = 0.0):
        self.readable, self.to, self.coarse, self.occluded = Readable(faces), face_frame(size), coarse, occluded
        eyes, corners = self.to.tensor()[:2], self.to.tensor()[3:]
        self._centers = torch.cat([eyes, corners.mean(0, keepdim=True)])  # (3,2)

    def __len__(self) -> int:
        return len(self.readable.faces)

    def sample(self, index: int, rng: np.random.Generator | None = None) -> ParsingBatch | None:
        pixels, label_map, _ = self.readable.read(index) or (None, None, None)
        if pixels is None or label_map is None:
            return None
        frame = self.readable.faces.frame
        if frame is not None:
            matrix = geometry.between(frame.scaled(label_map.shape[1], label_map.shape[0]), self.to)
        elif (centers := eye_mouth_centers(label_map, self.coarse)) is not None:
            matrix = geometry.similarity(torch.from_numpy(centers), self._centers)
        else:
            return None
        flip = False
        if rng is not None:
            flip, affine = bool(rng.random() < 0.5), random_affine(rng, self.to.width)
            matrix = geometry.compose(with_flip(affine, self.to.width) if flip else affine, matrix)
        image, labels = warp_labeled(pixels, label_map, matrix, self.to.width)
        if flip and not self.coarse:
            labels = _MIRRORED[labels]
        return _sample(image, labels, self.coarse, rng, self.occluded)


class RenderedFaces:
    """Rendered faces with label maps in ids of PARTS. occluded: probability of a rendered occluder in an augmented sample."""

    coarse = False

    def __init__(self, partition: str, size: int, occluded: float = 0.0):
        self.faces, self.occluded = SyntheticFaces(partition, size), occluded

    def __len__(self) -> int:
        return len(self.faces)

    def sample(self, index: int, rng: np.random.Generator | None = None) -> ParsingBatch:
        face = self.faces[index]
        return _sample(face['image'], face['parsing'], False, rng, self.occluded)


def _sample(image: Tensor, labels: Tensor, coarse: bool, rng: np.random.Generator | None, occluded: float) -> ParsingBatch:
    if rng is not None:
        if occluded and rng.random() < occluded:
            image, labels = add_occluder(image, labels, coarse, rng)
        image = random_appearance(image, rng)
    ignored = torch.full_like(labels, IGNORED)
    return ParsingBatch(image, ignored, labels) if coarse else ParsingBatch(image, labels, ignored)


def add_occluder(image: Tensor, labels: Tensor, coarse: bool, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """An image (3,S,S) with a random rendered occluder, labeled `eye_g` if it is glasses and `background` otherwise."""
    kind = str(rng.choice(list(OCCLUDERS)))
    pixels, mask = occlude(to_uint8(image), kind, rng)
    part = PARTS.index('eye_g') if 'glasses' in kind and not coarse else 0
    return to_tensor(pixels), torch.where(torch.from_numpy(mask), part, labels)


def warp_labeled(pixels: np.ndarray, label_map: np.ndarray, matrix: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(H,W,3) uint8 and (H,W) ids -> (3,size,size) in [-1,1] and (size,size) int64, IGNORED outside the label map."""
    shifted = torch.from_numpy(label_map)[None, None].float() + 1  # 0 is outside
    labels = geometry.warp(shifted, matrix, (size, size), mode='nearest', padding='zeros')[0, 0].long() - 1
    return geometry.warp(to_tensor(pixels)[None], matrix, (size, size))[0], torch.where(labels < 0, IGNORED, labels)


def random_affine(rng: np.random.Generator, size: int) -> Tensor:
    """(2,3): a random rotation (7 degrees), scale (12 %) and shift (3 %) about the center; numbers are standard deviations."""
    angle, scale = 0.12 * rng.standard_normal(), np.exp(0.12 * rng.standard_normal())
    a, b, middle = scale * np.cos(angle), scale * np.sin(angle), (size - 1) / 2
    x, y = middle + size / 32 * rng.standard_normal(2)
    return torch.tensor([[a, -b, x - (a - b) * middle], [b, a, y - (a + b) * middle]], dtype=torch.float32)


def with_flip(matrix: Tensor, size: int) -> Tensor:
    """A (2,3) transform followed by a horizontal flip of an image of `size` pixels."""
    return geometry.compose(torch.tensor([[-1.0, 0.0, size - 1], [0.0, 1.0, 0.0]]), matrix)


def random_appearance(image: Tensor, rng: np.random.Generator) -> Tensor:
    """An image (3,H,W) with random brightness, contrast, color, resolution and noise, grayscale with probability 0.15."""
    light = 0.1 * rng.standard_normal((3, 1, 1)) + 0.25 * rng.standard_normal()
    image = image * float(np.exp(0.3 * rng.standard_normal())) + torch.as_tensor(light, dtype=torch.float32)
    if rng.random() < _GRAY_PROBABILITY:
        image = image.mean(0, keepdim=True).expand_as(image)
    if rng.random() < _LOW_RESOLUTION_PROBABILITY:
        side = max(4, round(image.shape[-1] * rng.uniform(0.28, 0.86)))
        small = F.interpolate(image[None], size=side, mode='bilinear', antialias=True)
        image = F.interpolate(small, size=image.shape[1:], mode='bilinear')[0]
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(0.05 * abs(rng.standard_normal()))
    return (image + torch.from_numpy(noise)).clamp(-1, 1)


class ParsingSamples(SizedDataset):
    """ParsingBatch samples without the batch dimension, sampled from several sources with probabilities proportional to
    `weights`.

    A key is an index or a pair (epoch, index); a sample depends only on the seed, the key and the files. augment: apply
    augmentation.
    """

    def __init__(self, sources: Sequence[ParsingSource], weights: Sequence[float], *, seed: int = 0, augment: bool = True):
        self.sources, self.seed, self.augment = list(sources), seed, augment
        self._probabilities = np.array(weights) / sum(weights)

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def __getitem__(self, key: int | tuple[int, int]) -> ParsingBatch:
        epoch, index = key if isinstance(key, tuple) else (0, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        source = self.sources[rng.choice(len(self.sources), p=self._probabilities)]
        for _ in range(MAX_ATTEMPTS):
            if (sample := source.sample(int(rng.integers(len(source))), rng if self.augment else None)) is not None:
                return sample
        root = source.readable.faces.root if isinstance(source, LabeledImages) else 'the source'
        raise RuntimeError(f'none of {MAX_ATTEMPTS} images under {root} could be read and aligned; '
                           'check the disk or unpack the data again')


def open_labeled(root: str | Path) -> tuple[Faces, bool]:
    """The faces of a folder, and whether their labels are coarse. Raises ValueError for an unknown kind of folder."""
    root = check_root(root)
    if (root / LABELED).is_file():
        return LabeledFaces(root), False
    if (root / 'index.csv').is_file() and (root / 'masks').is_dir():
        return fasseg(root), True
    if (root / 'CelebA-HQ-img').is_dir():
        return celebamask(root), False
    raise ValueError(f'{root} holds no images with label maps: give a folder that `prepare_data.py pseudo-labels` '
                     'wrote, one of CelebAMask-HQ, or one with images/, masks/ and index.csv')


def build_parsing(roots: Sequence[str | Path], size: int, *, partition: str = 'train', seed: int = 0, augment: bool = True,
                  occluded: float = 0.0) -> ParsingSamples:
    """Images of all folders and rendered faces, with the frequencies SOURCE_WEIGHTS. augment and occluded are as in
    ParsingSamples and LabeledImages. A folder without images of the partition is skipped; for the partition train this raises
    ValueError."""
    sources: list[ParsingSource] = [RenderedFaces(partition, size, occluded)]
    kinds = ['synthetic']
    for root in roots:
        faces, coarse = open_labeled(root)
        if partition == 'train' or (faces.splits == PARTITIONS.index(partition)).any():
            sources.append(LabeledImages(faces.partition(partition), size, coarse=coarse, occluded=occluded))
            kinds.append('coarse' if coarse else 'labels')
    totals = {kind: sum(len(source) for source, other in zip(sources, kinds) if other == kind) for kind in kinds}
    weights = [SOURCE_WEIGHTS[kind] * len(source) / totals[kind] for source, kind in zip(sources, kinds)]
    return ParsingSamples(sources, weights, seed=seed, augment=augment)


def parsing_subsets(root: str | Path, size: int, partition: str = 'test') -> dict[str, LabeledImages]:
    """The images of a folder by the subsets of its index.csv, for evaluation; keys are the folder name and the subset."""
    faces, coarse = open_labeled(root)
    faces, name = faces.partition(partition), Path(root).name
    subsets = faces.columns.get('subset', np.full(len(faces), ''))
    return {f'{name} {subset}'.strip(): LabeledImages(faces.select(subsets == subset), size, coarse=coarse)
            for subset in np.unique(subsets)}
