"""Unpaired images of two domains in the folders trainA, trainB, testA and testB: photos (A) and drawings (B)."""
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.faces import PARTITIONS, Faces, check_root, images_in, split_by_name
from datasets.samples.swaps import Readable
from datasets.transforms.joint import Augmentation, face_frame, into_frame, unpacked
from datasets.transforms.matching import Matching
from models.batch import PairBatch
from models.geometry import TEMPLATES

_MAX_ATTEMPTS = 50  # unreadable images in a row before giving up


class Unpaired(Dataset):
    """PairBatch samples without the batch dimension: an independently chosen photo and drawing at `size` in the template `face`.

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
        return self.a.broken + self.b.broken

    def set_epoch(self, epoch: int) -> None:
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
        a, b = self.matching.draw(a, b, rng)
        return PairBatch(a=a, b=b, paired=torch.tensor(False), a_label=a_label, b_label=b_label)

    def _image(self, domain: Readable, index: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A framed image (3,size,size) uint8 and its identity label."""
        faces = domain.faces
        for step in range(min(_MAX_ATTEMPTS, len(faces))):
            candidate = (index + step) % len(faces)
            if (read := domain.read(candidate)) is not None:
                jitter = self.augmentation.sample(rng) if self.augmentation else None
                label = None if self.labels is None else torch.tensor(self.labels[faces[candidate].name])
                aligned = TEMPLATES['celeba']
                frame = aligned if read[0].shape[:2] == (aligned.height, aligned.width) else faces.frame
                return into_frame(*read, frame, self.to, jitter)[0], label
        raise RuntimeError(f'no readable image among {_MAX_ATTEMPTS} in a row from {faces.path(index % len(faces))} on; '
                           'check the disk or unpack the data again')


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
    listed = {side: _domain(root / f'{"test" if partition == "test" else "train"}{side}') for side in 'AB'}
    has_identities = all(name is not None for _, names in listed.values() for name in names)
    domains = []
    for side, (files, names) in listed.items():
        names = names if has_identities else files
        # The validation tenth of split_by_name is held out; its test tenth is part of the training images.
        held_out = split_by_name(names) == PARTITIONS.index('validation')
        keep = np.ones(len(files), bool) if partition == 'test' else held_out if partition == 'validation' else ~held_out
        if not keep.any():
            raise ValueError(f'{root}: no image of domain {side} falls into {partition!r}; add images')
        domains.append(Faces(root / f'{"test" if partition == "test" else "train"}{side}', files, names).select(keep))
    names = sorted({str(name) for faces in domains for name in faces.identity_names})
    return Unpaired(*domains, size, labels={name: i for i, name in enumerate(names)} if has_identities else None, seed=seed,
                    random=partition == 'train', augmentation=Augmentation(crops=crops) if augment else None, matching=matching)


def _domain(folder: Path) -> tuple[list[str], list[str | None]]:
    """The images of a domain and the names of their identities."""
    if not folder.is_dir():
        raise ValueError(f'{folder} does not exist; two domains are laid out as trainA, trainB, testA and testB')
    files = images_in(folder, deep=True)
    if not files:
        raise ValueError(f'{folder} holds no image')
    return files, [_identity(name) for name in files]


def _identity(file: str) -> str | None:
    """The name of the identity in a relative path, or None."""
    folder, _, name = file.rpartition('/')
    stem = Path(name).stem
    return stem.split('__')[0] if '__' in stem else folder.split('/')[0] or None
