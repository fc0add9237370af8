"""Swap protocols: fixed lists of pairs with their crops and masks, each with a version and a hash.

| name       | source and target                                                        | truth | persons     |
| ---------- | ------------------------------------------------------------------------ | ----- | ----------- |
| synthetic  | rendered faces of 200 identities, disjoint from training                 | yes   | known       |
| celeba     | random pairs of identities of the test partition                         | no    | as listed   |
| celebamask | the same on CelebAMask-HQ, with its masks                                | no    | as listed   |
| ffpp       | the official pairs of FaceForensics++, 10 frames of each video           | no    | a video is one |
| folder     | an image of one folder, an image of another                            | no    | an image is one |
"""
import csv
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from datasets.faces import Faces
from datasets.loaders import build_faces
from datasets.samples.causes import causes_of
from datasets.samples.swaps import ListedSwaps
from datasets.synthetic import SyntheticSwaps, sample_attributes, sample_identity
from experiments.evaluation.protocols.ffpp import frames_of, official_pairs
from models.storage.files import write_bytes

VERSION = 1  # of the rules by which pairs, crops and masks are chosen
PAIRS = 1000
_PEOPLE = 200  # identities of the synthetic protocol; each has several images


@dataclass(frozen=True)
class SwapProtocol:
    """name; size: side in pixels of the images; names: what each pair's source and target are called; pairs: SwapBatch samples
    in that order; causes: number of a pair -> what its true swap is drawn from (C,), where that is known; settings: what else
    the pairs depend on."""

    name: str
    size: int
    names: tuple[tuple[str, str], ...]
    pairs: Dataset
    causes: Callable[[int], Tensor] | None = None
    settings: str = ''

    @property
    def listing(self) -> str:
        """The pairs as CSV."""
        return listing(self.names)

    @property
    def sha256(self) -> str:
        """Of the list and of all that it is read with."""
        return hashlib.sha256(f'{self.name} {VERSION} {self.size} {self.settings}\n{self.listing}'.encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write the list and its hash to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / 'pairs.csv', self.listing.encode())
        write_bytes(folder / 'pairs.sha256', f'{self.sha256}  {self.name} version {VERSION}, {self.size} pixels\n'.encode())


def listing(names) -> str:
    """(source, target) names as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([('source', 'target'), *names])
    return text.getvalue()


def synthetic(size: int = 64, count: int = PAIRS, *, seed: int = 0) -> SwapProtocol:
    """Rendered identities of the test split, with true swaps."""
    dataset = SyntheticSwaps('test', size, seed=seed, length=count, num_identities=_PEOPLE, same_ratio=0.0)
    causes = [dataset.numbers(index) for index in range(count)]
    names = tuple((f'{first}/{source_setting}', f'{second}/{target_setting}')
                  for first, second, source_setting, target_setting in causes)

    def truth(index: int) -> Tensor:
        identity, _, _, setting = causes[index]
        return causes_of(sample_identity(seed, identity), sample_attributes(seed, setting))

    return SwapProtocol('synthetic', size, names, dataset, truth, f'seed {seed}')


def across_people(name: str, root: str | Path, folder: Path, size: int = 128, count: int = PAIRS, *, seed: int = 0,
                  partition: str = 'test') -> SwapProtocol:
    """Pairs of two people of a partition of celeba, celebamask, or any other set of faces; the list is written to `folder`.
    ValueError where the partition shows one person only."""
    faces = build_faces(name, root, partition)
    if len(np.unique(faces.labels)) < 2:
        raise ValueError(f'the partition {partition!r} of {root} shows one person only, so there is nobody to swap with')
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < count:
        source, target = rng.integers(len(faces), size=2)
        if faces.labels[source] != faces.labels[target]:
            rows.append((str(faces.files[source]), str(faces.files[target])))
    return _listed(name, faces, rows, folder, size, f'partition {partition}, seed {seed}')


def two_folders(sources: str | Path, targets: str | Path, folder: Path, size: int = 128, count: int = PAIRS, *,
                seed: int = 0) -> SwapProtocol:
    """Every target of one folder once (`count` at most), with a source of the other drawn by the seed."""
    source_faces, target_faces = build_faces('plain', Path(sources).resolve()), build_faces('plain', Path(targets).resolve())
    faces = _joined(source_faces, target_faces)
    rng = np.random.default_rng(seed)
    rows = [(str(faces.files[rng.integers(len(source_faces))]), str(faces.files[len(source_faces) + index]))
            for index in rng.permutation(len(target_faces))[:count]]
    return _listed('folder', faces, rows, folder, size, f'seed {seed}')


def ffpp(root: str | Path, folder: Path, size: int = 128, count: int | None = None) -> SwapProtocol:
    """The official pairs of FaceForensics++: frame k of the target's video gets the face of frame k of the source's. The frames
    are taken out, aligned and kept in `folder`. count: pairs of videos, None for all."""
    videos = official_pairs(root)[:count]
    frames = frames_of(root, sorted({video for pair in videos for video in pair}), folder / 'frames')
    faces = build_faces('folder', folder / 'frames')
    rows = [(f'{source}/{name}', f'{target}/{name}') for target, source in videos
            for name in sorted(frames[source] & frames[target])]
    return _listed('ffpp', faces, rows, folder, size, '')


def _listed(name: str, faces: Faces, rows: list[tuple[str, str]], folder: Path, size: int, settings: str) -> SwapProtocol:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'pairs.csv'
    write_bytes(path, listing(rows).encode())
    return SwapProtocol(name, size, tuple(rows), ListedSwaps(faces, path, size), settings=settings)


def _joined(first: Faces, second: Faces) -> Faces:
    """The images of two plain folders as one list, by their paths from the folder that holds both."""
    root = Path(os.path.commonpath([first.root, second.root]))
    files = [(part.root / str(name)).relative_to(root).as_posix() for part in (first, second) for name in part.files]
    points = None
    if first.points is not None and second.points is not None:
        points = np.concatenate([first.points, second.points])
    elif first.points is not None or second.points is not None:
        raise ValueError(f'only one of {first.root} and {second.root} has a landmarks.csv; align both with '
                         '`scripts/prepare_data.py faces`')
    return Faces(root, files, files, points=points, frame=first.frame if first.frame == second.frame else None)


PROTOCOLS = ('synthetic', 'celeba', 'celebamask', 'ffpp', 'folder')


def build_protocol(name: str, folder: Path, *, root: str | Path | None = None, targets: str | Path | None = None,
                   size: int | None = None, count: int | None = None, seed: int = 0) -> SwapProtocol:
    """A protocol by name; lists and frames are kept in `folder`. root: of the data set, or of the sources of `folder`, whose
    targets lie in `targets`. size and count: as the protocol has them where None. ValueError, one sentence, on anything
    that is missing."""
    if name not in PROTOCOLS:
        raise ValueError(f'unknown protocol {name!r}; known: {", ".join(PROTOCOLS)}')
    arguments = {key: value for key, value in {'size': size, 'count': count}.items() if value is not None}
    if name == 'synthetic':
        return synthetic(**arguments, seed=seed)
    if root is None:
        raise ValueError(f'the protocol {name!r} reads images; say where with --root')
    if name == 'ffpp':
        return ffpp(root, folder, **arguments)
    if name == 'folder':
        if targets is None:
            raise ValueError('the protocol folder needs two folders; give the sources as --root and the others as --targets')
        return two_folders(root, targets, folder, **arguments, seed=seed)
    return across_people(name, root, folder, **arguments, seed=seed)
