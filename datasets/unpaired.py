"""Two domains in folders trainA, trainB, testA, testB: photos (A) and drawings (B) that do not correspond."""
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.faces import PARTITIONS, Faces, check_root, images_in, split_by_name
from datasets.matching import Matching
from datasets.swaps import Readable
from datasets.transforms import Augmentation, face_frame, into_frame, unpacked
from models.batch import PairBatch
from models.geometry import TEMPLATES

_PATIENCE = 50


class Unpaired(Dataset):
    """PairBatch samples without the batch dimension: a photo and a drawing chosen independently, at `size`, in the template
    `face`: of aligned CelebA images (178x218) that part, of others the central square, which is taken to lie so.

    Keys, seed and unreadable images as in datasets.swaps.Swaps. The index counts through the larger domain; with `random`
    the image of domain b is drawn, otherwise it is image `index` modulo the domain's length. people numbers the persons
    of both domains; where it is None the persons are unknown.
    """

    def __init__(self, a: Faces, b: Faces, size: int, *, people: dict[str, int] | None, seed: int = 0, random: bool = False,
                 augmentation: Augmentation | None = None, matching: Matching | None = None):
        self.a, self.b, self.people = Readable(a), Readable(b), people
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
        """The sample with images still uint8."""
        epoch, index = key if isinstance(key, tuple) else (self.epoch, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        a, a_label = self._image(self.a, index, rng)
        b, b_label = self._image(self.b, int(rng.integers(len(self.b.faces))) if self.random else index, rng)
        a, b = self.matching.draw(a, b, rng)
        return PairBatch(a=a, b=b, paired=torch.tensor(False), a_label=a_label, b_label=b_label)

    def _image(self, domain: Readable, index: int, rng):
        faces = domain.faces
        for step in range(min(_PATIENCE, len(faces))):
            candidate = (index + step) % len(faces)
            if (read := domain.read(candidate)) is not None:
                jitter = self.augmentation.draw(rng) if self.augmentation else None
                person = None if self.people is None else torch.tensor(self.people[faces[candidate].name])
                canvas = TEMPLATES['celeba']
                frame = canvas if read[0].shape[:2] == (canvas.height, canvas.width) else faces.frame
                return into_frame(*read, frame, self.to, jitter)[0], person
        raise RuntimeError(f'no readable image among {_PATIENCE} in a row from {faces.path(index % len(faces))} on; '
                           'check the disk or unpack the data again')


def unpaired(root: str | Path, size: int, partition: str = 'train', *, seed: int = 0, augment: bool = False, crops: float = 0.0,
             matching: Matching | None = None) -> Unpaired:
    """The two domains below root. `test` reads testA and testB; a tenth of trainA and trainB, chosen by person (by file
    where persons are unknown), is kept aside as `validation` and is never trained on.

    The person of an image is what stands before `__` in its file name, else the name of its sub-folder.
    """
    if partition not in PARTITIONS:
        raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}')
    root = check_root(root)
    found = {side: _domain(root / f'{"test" if partition == "test" else "train"}{side}') for side in 'AB'}
    known = all(name is not None for _, names in found.values() for name in names)
    domains = []
    for side, (files, names) in found.items():
        names = names if known else files
        # Of the tenths that split_by_name knows, the one called validation is kept aside.
        aside = split_by_name(names) == PARTITIONS.index('validation')
        keep = np.ones(len(files), bool) if partition == 'test' else aside if partition == 'validation' else ~aside
        if not keep.any():
            raise ValueError(f'{root}: no image of domain {side} falls into {partition!r}; add images')
        domains.append(Faces(root / f'{"test" if partition == "test" else "train"}{side}', files, names).select(keep))
    people = sorted({str(name) for faces in domains for name in faces.people})
    return Unpaired(*domains, size, people={name: i for i, name in enumerate(people)} if known else None, seed=seed,
                    random=partition == 'train', augmentation=Augmentation(crops=crops) if augment else None, matching=matching)


def _domain(folder: Path) -> tuple[list[str], list[str | None]]:
    if not folder.is_dir():
        raise ValueError(f'{folder} does not exist; two domains are laid out as trainA, trainB, testA and testB')
    files = images_in(folder, deep=True)
    if not files:
        raise ValueError(f'{folder} holds no image')
    return files, [_person(name) for name in files]


def _person(file: str) -> str | None:
    folder, _, name = file.rpartition('/')
    stem = Path(name).stem
    return stem.split('__')[0] if '__' in stem else folder.split('/')[0] or None
