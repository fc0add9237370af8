"""Data sets by name, and loaders whose place in the stream of batches can be saved and taken up again."""
import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from datasets.cache import packed
from datasets.celeba import celeba
from datasets.celebamask import celebamask
from datasets.faces import Faces
from datasets.identity_folder import identity_folder, plain
from datasets.matching import Matching
from datasets.swaps import ListedSwaps, Swaps
from datasets.synthetic import SyntheticPairs, SyntheticSwaps
from datasets.transforms import Augmentation, unpacked
from datasets.unpaired import Unpaired, unpaired
from datasets.webcaricature import webcaricature
from models.batch import PairBatch, collate

# name -> (root, partition) -> the list of its faces
FACES: dict[str, Callable[..., Faces]] = {
    'celeba': celeba,
    'celebamask': celebamask,
    'folder': identity_folder,
    'webcaricature': webcaricature,
    'plain': plain,
    'cache': packed,
}
DATASETS = ('synthetic', *FACES, 'unpaired')
_PREFETCH = 2  # batches that a worker prepares ahead


class ResumableSampler(Sampler):
    """A batch sampler whose keys are (epoch, index), so that a sample depends on nothing but its key.

    Shuffled, it is the endless stream of one rank's training batches: epoch after epoch in an order drawn from (seed, epoch),
    each global batch of world_size * batch_size dealt out to the ranks; what is left at an epoch's end is dropped, and an
    epoch too short for one global batch is filled up from its beginning. Unshuffled, it is one pass in order over this rank's
    share, the last batch being short. epoch and position (in batches) say which batch of the stream comes next; they move
    on when `advance` is called, by the loader when it hands a batch out, not when workers prefetch it.
    """

    def __init__(self, length: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, shuffle: bool = True):
        if length < 1 or batch_size < 1:
            raise ValueError(f'a loader needs at least one sample and a batch size of at least 1, not {length} and {batch_size}')
        if not 0 <= rank < world_size:
            raise ValueError(f'rank {rank} is not one of {world_size} processes')
        self.length, self.batch_size, self.seed, self.shuffle = length, batch_size, seed, shuffle
        self.rank, self.world_size = rank, world_size
        self.epoch = self.position = 0

    def __len__(self) -> int:
        """Batches of one epoch on this rank."""
        if self.shuffle:
            return max(1, self.length // (self.batch_size * self.world_size))
        return -(-len(range(self.rank, self.length, self.world_size)) // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        if not self.shuffle:
            share = range(self.rank, self.length, self.world_size)
            for start in range(0, len(share), self.batch_size):
                yield [(0, index) for index in share[start:start + self.batch_size]]
            return
        epoch, position, batches, step = self.epoch, self.position, len(self), self.batch_size * self.world_size
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
            order = np.resize(order, batches * step).reshape(batches, self.world_size, self.batch_size)[:, self.rank]
            for batch in order[position:].tolist():
                yield [(epoch, index) for index in batch]
            epoch, position = epoch + 1, 0

    def advance(self) -> None:
        """One batch was handed out."""
        self.position += 1
        if self.position == len(self):
            self.epoch, self.position = self.epoch + 1, 0

    def _layout(self) -> dict[str, int]:
        return {'length': self.length, 'batch_size': self.batch_size, 'seed': self.seed, 'world_size': self.world_size}

    def state_dict(self) -> dict[str, int]:
        """The same on every rank."""
        return {'epoch': self.epoch, 'position': self.position, **self._layout()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the batches that were handed out. ValueError where the stream would be another one."""
        changed = [f'{name} {state[name]} -> {value}' for name, value in self._layout().items() if state[name] != value]
        if changed:
            raise ValueError(f'the data loader differs from the saved one ({", ".join(changed)}); resume with the same data, '
                             'seed, batch size and number of processes')
        self.epoch, self.position = state['epoch'], state['position']


class _Batches(Dataset):
    """Whole batches by their keys, with images as uint8 where the data set can give them so, for Loader to unpack."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: list[tuple[int, int]]):
        if hasattr(self.dataset, 'batch'):
            return self.dataset.batch(keys)
        take = getattr(self.dataset, 'stored', self.dataset.__getitem__)
        return collate([take(key) for key in keys])


class _Sent:
    """What a worker hands over: small fields as arrays, which go through its pipe, where each tensor takes a shared file.

    Stored images go into shared memory that is used again after `turns` batches, since new memory costs more than they do:
    Loader unpacks each batch into memory of its own before the worker is so far. turns: more than batches are on their way.
    """

    def __init__(self, turns: int):
        self.turns, self.turn, self.rooms = turns, 0, {}

    def __call__(self, batch):
        self.turn = (self.turn + 1) % self.turns
        return _changed(batch, self._handed)

    def _handed(self, name: str, value: torch.Tensor):
        if value.nbytes < 2 ** 14:
            return value.numpy()
        if value.dtype != torch.uint8 or get_worker_info() is None:
            return value
        room = self.rooms.get((name, self.turn))
        if room is None or room.shape != value.shape:
            room = self.rooms[name, self.turn] = torch.empty_like(value).share_memory_()
        return room.copy_(value)


def _received(batch):
    return batch.map(lambda value: torch.from_numpy(value) if isinstance(value, np.ndarray) else value)


def _changed(batch, change: Callable):
    """The batch with each field that it has as `change` makes it of name and value."""
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{name: change(name, value) for name, value in values.items() if value is not None})


class Loader(DataLoader):
    """A DataLoader that tells its ResumableSampler about each batch as it is handed out."""

    def __iter__(self):
        for batch in super().__iter__():
            self.batch_sampler.advance()
            yield unpacked(_received(batch))


class Keyed(Dataset):
    """Gives drawn samples, numbered without end, as epochs of `length` for keys (epoch, index); a bare index is epoch 0's."""

    def __init__(self, drawn: Dataset, length: int):
        self.drawn, self.length = drawn, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]):
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if not 0 <= index < self.length:
            raise IndexError(index)
        return self.drawn[epoch * self.length + index]


def build_faces(name: str, root: str | Path | None, partition: str = 'all') -> Faces:
    """The list of faces of one of FACES. ValueError for an unknown name, a missing root or an empty partition."""
    if name not in FACES:
        raise ValueError(f'unknown set of faces {name!r}; known: {", ".join(FACES)}')
    return FACES[name](_given(name, root), partition)


def build_swaps(name: str, root: str | Path | None, size: int, partition: str = 'train', *, same_ratio: float = 0.5,
                seed: int = 0, augment: bool = False, encoder: str | None = None) -> Dataset:
    """SwapBatch samples of a data set by name. Persons are balanced in the train partition; only there is `augment` heeded.
    encoder: the identity encoder whose view of the sources a cache may have kept."""
    if name == 'synthetic':
        return _synthetic(SyntheticSwaps, size, partition, seed, same_ratio=same_ratio)
    train = partition in ('train', 'all')
    return Swaps(build_faces(name, root, partition), size, same_ratio=same_ratio, seed=seed, balanced=train,
                 augmentation=Augmentation() if augment and train else None, encoder=encoder)


def build_samples(batch: type, name: str, root: str | Path | None, size: int, partition: str = 'train', *,
                  same_ratio: float = 0.5, seed: int = 0, augment: bool = False, crops: float = 0.0,
                  matching: Matching | None = None, encoder: str | None = None) -> Dataset:
    """Samples of the type that a family is fed: build_pairs for PairBatch, where same_ratio and encoder mean nothing, else
    build_swaps, where crops and matching mean nothing."""
    if batch is PairBatch:
        return build_pairs(name, root, size, partition, seed=seed, augment=augment, crops=crops, matching=matching)
    return build_swaps(name, root, size, partition, same_ratio=same_ratio, seed=seed, augment=augment, encoder=encoder)


def build_listed(name: str, root: str | Path, pairs: str | Path, size: int) -> ListedSwaps:
    """The swaps that a CSV lists (columns source and target), in its order."""
    return ListedSwaps(build_faces(name, root), pairs, size)


def build_pairs(name: str, root: str | Path | None, size: int, partition: str = 'train', *, seed: int = 0,
                augment: bool = False, crops: float = 0.0, matching: Matching | None = None) -> Dataset:
    """PairBatch samples of `synthetic` (true pairs), of two-domain folders (`unpaired`) or of `webcaricature`; crops and matching
    apply to the latter two."""
    if name == 'synthetic':
        return _synthetic(SyntheticPairs, size, partition, seed)
    augment = augment and partition == 'train'
    if name == 'unpaired':
        return unpaired(_given(name, root), size, partition, seed=seed, augment=augment, crops=crops, matching=matching)
    if name != 'webcaricature':
        raise ValueError(f'{name!r} holds no two domains; use synthetic, unpaired or webcaricature')
    faces = build_faces(name, root, partition)
    drawing = faces.columns['drawing']
    if drawing.all() or not drawing.any():
        raise ValueError(f'the partition {partition!r} of {root} shows photos or caricatures alone')
    people = {str(person): number for number, person in enumerate(faces.people)}
    return Unpaired(faces.select(~drawing), faces.select(drawing), size, people=people, seed=seed, random=partition == 'train',
                    augmentation=Augmentation(crops=crops) if augment else None, matching=matching)


def build_loader(dataset: Dataset, batch_size: int, *, seed: int = 0, workers: int = 0, rank: int = 0, world_size: int = 1,
                 shuffle: bool = True) -> Loader:
    """Batches of this rank; `.batch_sampler` is the ResumableSampler. shuffle False is one pass in order for evaluation."""
    sampler = ResumableSampler(len(dataset), batch_size, seed=seed, rank=rank, world_size=world_size, shuffle=shuffle)
    # An own generator for the workers' seeds: making an iterator must not draw from the global stream of random numbers.
    return Loader(_Batches(dataset), batch_sampler=sampler, num_workers=workers, collate_fn=_Sent(_PREFETCH + 2),
                  prefetch_factor=_PREFETCH if workers else None,
                  persistent_workers=workers > 0, pin_memory=torch.cuda.is_available(),
                  generator=torch.Generator().manual_seed(seed * world_size + rank),
                  worker_init_fn=partial(_outlast_signals, _leaving()))


@cache
def _leaving():
    """An event that is set when this process leaves."""
    event = multiprocessing.Event()
    atexit.register(event.set)
    return event


def _outlast_signals(leaving, worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach every process of a run: the main one saves, and needs its workers until then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if leaving.is_set() else None)


def _synthetic(kind: type[Dataset], size: int, partition: str, seed: int, **options) -> Keyed:
    """Drawn faces: training never repeats an image."""
    length = len(kind(partition, size, seed=seed, **options))
    return Keyed(kind(partition, size, seed=seed, length=sys.maxsize, **options), length)


def _given(name: str, root: str | Path | None) -> str | Path:
    if root is None:
        raise ValueError(f'the data set {name!r} lies on disk; say where with its root folder')
    return root
