"""Unpaired images of two domains in the folders trainA, trainB, testA and testB: photos (A) and drawings (B)."""
from pathlib import Path

import numpy as np
import torch

from datasets.base import SizedDataset
from datasets.faces import PARTITIONS, Faces, check_root, split_by_name
from datasets.samples.readable import Readable
from datasets.transforms.joint import Augmentation, face_frame, into_frame, unpacked
from datasets.transforms.matching import Matching
from models.batch import PairBatch
from models.geometry import TEMPLATES
from models.image_io import list_images


class Unpaired(SizedDataset):
    """PairBatch samples without the batch dimension: a photo and an independently sampled drawing, in the template `face` at
    `size` pixels.

    Images of 178x218 pixels are treated as aligned like CelebA; of other images the central square is used, which is assumed to
    be aligned to `face`. Keys, seed and unreadable images are as in datasets.samples.swaps.Swaps. The length is that of the
    larger domain.
    random: sample the image of domain b uniformly; otherwise it is image `index` modulo the length of the domain.
    labels: identity name -> label, shared by the two domains; None if identities are unknown.
    """

    def __init__(self, a: Faces, b: Faces, size: int, *, labels: dict[str, int] | None, seed: int = 0, random: bool = False,
                 augmentation: Augmentation | None = None, matching: Matching | None = None):
        self.a, self.b, self.labels = Readable(a), Readable(b), labels
        self.seed, self.random, self.augmentation, self.epoch = seed, random, augmentation, 0
        self.to, self.matching = face_frame(size), matching or Matching()

    def __len__(self) -> int:
        return max(len(self.a.faces), len(self.b.faces))

    @property
    def broken(self) -> int:
        """The number of images that could not be read."""
        return self.a.broken + self.b.broken

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of keys that are an index; workers receive it only when they start."""
        self.epoch = epoch

    def __getitem__(self, key: int | tuple[int, int]) -> PairBatch:
        return unpacked(self.stored(key))

    def stored(self, key: int | tuple[int, int]) -> PairBatch:
        """The sample with uint8 images."""
        epoch, index = key if isinstance(key, tuple) else (self.epoch, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        a, a_label = self._image(self.a, index, rng)
        b, b_label = self._image(self.b, int(rng.integers(len(self.b.faces))) if self.random else index, rng)
        a, b = self.matching.match_pair(a, b, rng)
        return PairBatch(a=a, b=b, paired=torch.tensor(False), a_label=a_label, b_label=b_label)

    def _image(self, domain: Readable, index: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Image (3,size,size) uint8 in the template, and its identity label."""
        row, content = domain.read_next(index)
        jitter = self.augmentation.sample(rng) if self.augmentation else None
        label = None if self.labels is None else torch.tensor(self.labels[domain.faces[row].name])
        aligned = TEMPLATES['celeba']
        is_aligned = content[0].shape[:2] == (aligned.height, aligned.width)
        return into_frame(*content, aligned if is_aligned else domain.faces.frame, self.to, jitter)[0], label


def unpaired(root: str | Path, size: int, partition: str = 'train', *, seed: int = 0, augment: bool = False, crops: float = 0.0,
             matching: Matching | None = None) -> Unpaired:
    """The two domains below root as a data set of unpaired images.

    partition: `test` reads testA and testB; `validation` is a tenth of trainA and trainB, selected by identity (by file if
    identities are unknown), and `train` is the rest. The identity of an image is the part of its file name before `__`, or
    otherwise the name of its top-level folder. Raises ValueError for an unknown partition and for a missing or empty domain.
    """
    if partition not in PARTITIONS:
        raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}')
    root = check_root(root)
    folders = [root / f'{"test" if partition == "test" else "train"}{side}' for side in 'AB']
    listed = [_domain(folder) for folder in folders]
    has_identities = all(name is not None for _, names in listed for name in names)
    domains = []
    for folder, (files, names) in zip(folders, listed):
        identities = [str(name) for name in names] if has_identities else files
        # The validation tenth of split_by_name is held out; its test tenth is part of the training images.
        held_out = split_by_name(identities) == PARTITIONS.index('validation')
        keep = np.ones(len(files), bool) if partition == 'test' else held_out if partition == 'validation' else ~held_out
        if not keep.any():
            raise ValueError(f'{root}: no image of domain {folder.name[-1]} is in {partition!r}; add images')
        domains.append(Faces(folder, files, identities).select(keep))
    photos, drawings = domains
    all_names = sorted({str(name) for faces in domains for name in faces.identity_names})
    labels = {name: label for label, name in enumerate(all_names)} if has_identities else None
    return Unpaired(photos, drawings, size, labels=labels, seed=seed, random=partition == 'train',
                    augmentation=Augmentation(crops=crops) if augment else None, matching=matching)


def _domain(folder: Path) -> tuple[list[str], list[str | None]]:
    """The images of a domain and the names of their identities, None where unknown."""
    if not folder.is_dir():
        raise ValueError(f'{folder} does not exist; two domains are laid out as trainA, trainB, testA and testB')
    files = list_images(folder, deep=True)
    if not files:
        raise ValueError(f'{folder} holds no image')
    return files, [_identity(name) for name in files]


def _identity(file: str) -> str | None:
    """The name of the identity in a relative path, or None."""
    folder, _, name = file.rpartition('/')
    stem = Path(name).stem
    return stem.split('__')[0] if '__' in stem else folder.split('/')[0] or None
