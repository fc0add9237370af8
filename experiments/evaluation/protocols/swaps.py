"""Swap protocols: fixed lists of pairs with their crops and masks, each with a version and a hash.

| name       | source and target                                                | truth | identities         |
| ---------- | ---------------------------------------------------------------- | ----- | ------------------ |
| synthetic  | rendered faces of 200 identities, disjoint from training         | yes   | of the renderer    |
| celeba     | random pairs of identities of the test partition                 | no    | as listed          |
| celebamask | the same on CelebAMask-HQ, with its masks                        | no    | as listed          |
| ffpp       | the official pairs of FaceForensics++, 10 frames of each video   | no    | one for each video |
| folder     | an image of one folder, an image of another                      | no    | one for each image |
"""
import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from datasets.base import SizedDataset
from datasets.faces import Faces
from datasets.registry import build_faces
from datasets.samples.causes import causes_of
from datasets.samples.swaps import ListedSwaps
from datasets.synthetic import SyntheticSwaps, sample_attributes, sample_identity
from experiments.evaluation.protocols.ffpp import extract_faces, official_pairs
from models.batch import SwapBatch
from models.storage.files import write_bytes

VERSION = 1  # version of the rules by which pairs, crops and masks are chosen
DEFAULT_PAIR_COUNT = 1000  # number of pairs of a protocol
_NUM_IDENTITIES = 200  # identities of the synthetic protocol; each has several images


@dataclass(frozen=True)
class SwapProtocol:
    """A fixed list of pairs.

    size: side of the images in pixels; names: names of source and target of each pair; pairs: the samples in that order; causes:
    index of a pair -> parameters (C,) of the renderer for its true swap, None for photos; settings: text of all other settings
    that the pairs depend on.
    """

    name: str
    size: int
    names: tuple[tuple[str, str], ...]
    pairs: SizedDataset[SwapBatch]
    causes: Callable[[int], Tensor] | None = None
    settings: str = ''

    @property
    def listing(self) -> str:
        """The pairs as CSV."""
        return listing(self.names)

    @property
    def sha256(self) -> str:
        """Hash of the list and of the settings that it is read with."""
        return hashlib.sha256(f'{self.name} {VERSION} {self.size} {self.settings}\n{self.listing}'.encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write the list and its hash to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / 'pairs.csv', self.listing.encode())
        write_bytes(folder / 'pairs.sha256', f'{self.sha256}  {self.name} version {VERSION}, {self.size} pixels\n'.encode())


def listing(names: Iterable[tuple[str, str]]) -> str:
    """(source, target) names as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([('source', 'target'), *names])
    return text.getvalue()


def synthetic(size: int = 64, count: int = DEFAULT_PAIR_COUNT, *, seed: int = 0) -> SwapProtocol:
    """Rendered identities of the test split, with true swaps."""
    dataset = SyntheticSwaps('test', size, seed=seed, length=count, num_identities=_NUM_IDENTITIES, same_ratio=0.0)
    numbers = [dataset.numbers(index) for index in range(count)]
    names = tuple((f'{first}/{source_attributes}', f'{second}/{target_attributes}')
                  for first, second, source_attributes, target_attributes in numbers)

    def true_causes(index: int) -> Tensor:
        identity, _, _, attributes = numbers[index]
        return causes_of(sample_identity(seed, identity), sample_attributes(seed, attributes))

    return SwapProtocol('synthetic', size, names, dataset, true_causes, f'seed {seed}')


def across_identities(name: str, root: str | Path, folder: Path, size: int = 128, count: int = DEFAULT_PAIR_COUNT, *,
                      seed: int = 0, partition: str = 'test') -> SwapProtocol:
    """Random pairs of images of two identities.

    Args:
        name: data set of datasets.registry.FACES.
        root: folder of the data set.
        folder: folder to which the list is written.
        partition: partition of the data set.

    Raises:
        ValueError: the partition has fewer than two identities.
    """
    faces = build_faces(name, root, partition)
    if len(np.unique(faces.labels)) < 2:
        raise ValueError(f'the partition {partition!r} of {root} has a single identity; swaps need two')
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str]] = []
    while len(rows) < count:
        source, target = rng.integers(len(faces), size=2)
        if faces.labels[source] != faces.labels[target]:
            rows.append((str(faces.files[source]), str(faces.files[target])))
    return _listed(name, faces, rows, folder, size, f'partition {partition}, seed {seed}')


def two_folders(sources: str | Path, targets: str | Path, folder: Path, size: int = 128, count: int = DEFAULT_PAIR_COUNT, *,
                seed: int = 0) -> SwapProtocol:
    """Each image of the folder `targets` once, `count` at most, with a random image of the folder `sources`."""
    source_faces, target_faces = build_faces('plain', Path(sources).resolve()), build_faces('plain', Path(targets).resolve())
    faces = _concatenated(source_faces, target_faces)
    rng = np.random.default_rng(seed)
    rows = [(str(faces.files[rng.integers(len(source_faces))]), str(faces.files[len(source_faces) + index]))
            for index in rng.permutation(len(target_faces))[:count]]
    return _listed('folder', faces, rows, folder, size, f'seed {seed}')


def ffpp(root: str | Path, folder: Path, size: int = 128, count: int | None = None) -> SwapProtocol:
    """The official pairs of FaceForensics++: frame k of the source's video is the source of frame k of the target's video.

    Args:
        folder: folder of the extracted and aligned frames.
        count: number of pairs of videos; None for all.
    """
    videos = official_pairs(root)[:count]
    frames = extract_faces(root, sorted({video for pair in videos for video in pair}), folder / 'frames')
    faces = build_faces('folder', folder / 'frames')
    rows = [(f'{source}/{name}', f'{target}/{name}') for target, source in videos
            for name in sorted(frames[source] & frames[target])]
    return _listed('ffpp', faces, rows, folder, size, '')


def _listed(name: str, faces: Faces, rows: list[tuple[str, str]], folder: Path, size: int, settings: str) -> SwapProtocol:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'pairs.csv'
    write_bytes(path, listing(rows).encode())
    return SwapProtocol(name, size, tuple(rows), ListedSwaps(faces, path, size), settings=settings)


def _concatenated(first: Faces, second: Faces) -> Faces:
    """The images of two plain folders as one list, with paths relative to their common parent."""
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
    """Build a protocol by name.

    Args:
        name: one of PROTOCOLS.
        folder: folder of lists and frames.
        root: folder of the data set, or of the sources of the protocol `folder`.
        targets: folder of the targets of the protocol `folder`.
        size: side of the images in pixels; None for that of the protocol.
        count: number of pairs; None for that of the protocol.

    Raises:
        ValueError: the name is unknown, or a folder is missing.
    """
    if name not in PROTOCOLS:
        raise ValueError(f'unknown protocol {name!r}; known: {", ".join(PROTOCOLS)}')
    arguments: dict[str, Any] = {key: value for key, value in {'size': size, 'count': count}.items() if value is not None}
    if name == 'synthetic':
        return synthetic(**arguments, seed=seed)
    if root is None:
        raise ValueError(f'the protocol {name!r} requires images; give their folder with --root')
    if name == 'ffpp':
        return ffpp(root, folder, **arguments)
    if name == 'folder':
        if targets is None:
            raise ValueError('the protocol folder needs two folders; give the sources as --root and the targets as --targets')
        return two_folders(root, targets, folder, **arguments, seed=seed)
    return across_identities(name, root, folder, **arguments, seed=seed)
