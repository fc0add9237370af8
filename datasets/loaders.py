"""Samples of a task by the name of the data set; loaders whose position in the stream of batches can be saved and restored."""
import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache, partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler, get_worker_info

from datasets.base import SizedDataset
from datasets.registry import build_faces, require_root
from datasets.samples.swaps import ListedSwaps, Swaps
from datasets.synthetic import SyntheticPairs, SyntheticSwaps
from datasets.transforms.joint import Augmentation, unpacked
from datasets.transforms.matching import Matching
from datasets.unpaired import Unpaired, unpaired
from models.batch import BatchT, collate
from models.image_io import available_memory

_PREFETCH = 2  # batches that a worker prepares ahead
_LARGE_BATCH = 4096  # samples from which a batch is compared with the free memory


class ResumableSampler(Sampler):
    """A batch sampler with keys (epoch, index) and a position that can be saved.

    shuffle True: the infinite stream of the training batches of a rank. The order of each epoch is a permutation seeded by
    (seed, epoch); each global batch of world_size * batch_size samples is divided among the ranks. The incomplete global batch
    at the end of an epoch is dropped; an epoch shorter than one global batch is repeated to fill it. shuffle False: one pass in
    order over the samples of this rank, with a possibly smaller last batch. `epoch` and `position` (in batches) locate the next
    batch; Loader calls `advance` when it returns a batch, so that prefetched batches do not count.

    Raises ValueError for a length or batch size below 1 and for a rank outside [0, world_size).
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
        """Number of batches of an epoch on this rank."""
        if self.shuffle:
            return max(1, self.length // (self.batch_size * self.world_size))
        return -(-len(range(self.rank, self.length, self.world_size)) // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        if not self.shuffle:
            indices = range(self.rank, self.length, self.world_size)
            for start in range(0, len(indices), self.batch_size):
                yield [(0, index) for index in indices[start:start + self.batch_size]]
            return
        epoch, position, batches, step = self.epoch, self.position, len(self), self.batch_size * self.world_size
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
            order = np.resize(order, batches * step).reshape(batches, self.world_size, self.batch_size)[:, self.rank]
            for batch in order[position:].tolist():
                yield [(epoch, index) for index in batch]
            epoch, position = epoch + 1, 0

    def advance(self) -> None:
        """Move the position forward by one batch."""
        self.position += 1
        if self.position == len(self):
            self.epoch, self.position = self.epoch + 1, 0

    def _layout(self) -> dict[str, int]:
        return {'length': self.length, 'batch_size': self.batch_size, 'seed': self.seed, 'world_size': self.world_size}

    def state_dict(self) -> dict[str, int]:
        """Position and layout of the stream, equal on all ranks."""
        return {'epoch': self.epoch, 'position': self.position, **self._layout()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the position. Raises ValueError if the layout of the stream differs from the saved one."""
        changed = [f'{name} {state[name]} -> {value}' for name, value in self._layout().items() if state[name] != value]
        if changed:
            raise ValueError(f'the data loader differs from the saved one ({", ".join(changed)}); resume with the same data, '
                             'seed, batch size and number of processes')
        self.epoch, self.position = state['epoch'], state['position']


class _Batches(SizedDataset):
    """Batches by lists of keys, with uint8 images if the data set supports it; Loader converts them to float32."""

    def __init__(self, dataset: SizedDataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: list[tuple[int, int]]) -> Any:
        if hasattr(self.dataset, 'batch'):
            return self.dataset.batch(keys)
        get_sample = getattr(self.dataset, 'stored', self.dataset.__getitem__)
        return collate([get_sample(key) for key in keys])


class _TransferCollate:
    """Collate function that prepares a batch for the transfer from a worker process.

    Small fields become numpy arrays, which are sent through the pipe; a tensor would need a shared memory file each. uint8 images
    are copied into shared memory buffers that are reused after `num_slots` batches, as allocation is slower than the copy; Loader
    converts each batch into new memory. num_slots: must exceed the number of prefetched batches of a worker.
    """

    def __init__(self, num_slots: int):
        self.num_slots, self.slot = num_slots, 0
        self.buffers: dict[tuple[str, int], torch.Tensor] = {}

    def __call__(self, batch: BatchT) -> BatchT:
        self.slot = (self.slot + 1) % self.num_slots
        return _map_named(batch, self._transferable)

    def _transferable(self, name: str, value: torch.Tensor) -> torch.Tensor | np.ndarray:
        if value.nbytes < 2 ** 14:
            return value.numpy()
        if value.dtype != torch.uint8 or get_worker_info() is None:
            return value
        buffer = self.buffers.get((name, self.slot))
        if buffer is None or buffer.shape != value.shape:
            buffer = self.buffers[name, self.slot] = torch.empty_like(value).share_memory_()
        return buffer.copy_(value)


def _to_tensors(batch: BatchT) -> BatchT:
    """The batch with numpy arrays as tensors."""
    return batch.map(lambda value: torch.from_numpy(value) if isinstance(value, np.ndarray) else value)


def _map_named(batch: BatchT, fn: Callable[[str, Any], Any]) -> BatchT:
    """The batch with fn(name, value) in place of each field that is not None."""
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{name: fn(name, value) for name, value in values.items() if value is not None})


class Loader(DataLoader):
    """A DataLoader that advances its ResumableSampler with each batch that it returns."""

    batch_sampler: ResumableSampler

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch declares its own class of iterators
        for batch in super().__iter__():
            self.batch_sampler.advance()
            yield unpacked(_to_tensors(batch))


class Keyed(SizedDataset):
    """An unlimited data set divided into epochs of `length` samples; a key is an index of epoch 0 or a pair (epoch, index)."""

    def __init__(self, samples: SizedDataset, length: int):
        self.samples, self.length = samples, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> Any:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if not 0 <= index < self.length:
            raise IndexError(index)
        return self.samples[epoch * self.length + index]


def build_swaps(name: str, root: str | Path | None, size: int, partition: str = 'train', *, same_ratio: float = 0.5,
                reversed_ratio: float = 0.0, seed: int = 0, augment: bool = False, encoder: str | None = None) -> SizedDataset:
    """SwapBatch samples of a data set by name. Identities are balanced in the partitions train and all, the only ones that
    `augment` and `reversed_ratio` apply to. encoder: name of the identity encoder whose embeddings are read from a cache that
    holds them."""
    if name == 'synthetic':
        return _synthetic(SyntheticSwaps, size, partition, seed, same_ratio=same_ratio)
    train = partition in ('train', 'all')
    return Swaps(build_faces(name, root, partition), size, same_ratio=same_ratio, seed=seed, balanced=train,
                 augmentation=Augmentation() if augment and train else None, encoder=encoder,
                 reversed_ratio=reversed_ratio if train else 0.0)


def build_listed(name: str, root: str | Path, pairs: str | Path, size: int) -> ListedSwaps:
    """The pairs of a CSV file (columns source and target), in the order of the file. Raises ValueError as ListedSwaps does."""
    return ListedSwaps(build_faces(name, root), pairs, size)


def build_pairs(name: str, root: str | Path | None, size: int, partition: str = 'train', *, seed: int = 0,
                augment: bool = False, crops: float = 0.0, matching: Matching | None = None) -> SizedDataset:
    """PairBatch samples of `synthetic` (true pairs), of two-domain folders (`unpaired`) or of `webcaricature`; crops and matching
    apply to the latter two."""
    if name == 'synthetic':
        return _synthetic(SyntheticPairs, size, partition, seed)
    augment = augment and partition == 'train'
    if name == 'unpaired':
        return unpaired(require_root(name, root), size, partition, seed=seed, augment=augment, crops=crops, matching=matching)
    if name != 'webcaricature':
        raise ValueError(f'{name!r} holds no two domains; use synthetic, unpaired or webcaricature')
    faces = build_faces(name, root, partition)
    drawing = faces.columns['drawing']
    if drawing.all() or not drawing.any():
        raise ValueError(f'the partition {partition!r} of {root} does not hold both photos and caricatures')
    labels = {str(name): label for label, name in enumerate(faces.identity_names)}
    return Unpaired(faces.select(~drawing), faces.select(drawing), size, labels=labels, seed=seed, random=partition == 'train',
                    augmentation=Augmentation(crops=crops) if augment else None, matching=matching)


def build_loader(dataset: SizedDataset, batch_size: int, *, seed: int = 0, workers: int = 0, rank: int = 0, world_size: int = 1,
                 shuffle: bool = True) -> Loader:
    """Batches of one process; its `batch_sampler` is a ResumableSampler.

    Args:
        dataset: samples by keys (epoch, index). `batch(keys)` and `stored(key)` are used if it has them.
        batch_size: samples per batch of this process.
        seed, rank, world_size, shuffle: as for ResumableSampler.
        workers: loader processes.

    Raises:
        ValueError: a batch does not fit into the free memory.
    """
    if batch_size >= _LARGE_BATCH:
        _check_memory(dataset, batch_size, 1 + workers * _PREFETCH)
    sampler = ResumableSampler(len(dataset), batch_size, seed=seed, rank=rank, world_size=world_size, shuffle=shuffle)
    # A separate generator for the seeds of the workers: iterators do not consume the global random state.
    return Loader(_Batches(dataset), batch_sampler=sampler, num_workers=workers, collate_fn=_TransferCollate(_PREFETCH + 2),
                  prefetch_factor=_PREFETCH if workers else None,
                  persistent_workers=workers > 0, pin_memory=torch.cuda.is_available(),
                  generator=torch.Generator().manual_seed(seed * world_size + rank),
                  worker_init_fn=partial(_ignore_signals, _exit_event()))


def _check_memory(dataset: SizedDataset, batch_size: int, batches: int) -> None:
    """Raise ValueError if `batches` batches need more memory than is free, estimated from the first sample."""
    sample, available = dataset[0, 0], available_memory()
    values = (getattr(sample, field.name) for field in fields(sample))
    needed = batches * batch_size * sum(value.nbytes for value in values if isinstance(value, torch.Tensor))
    if available is not None and needed > available:
        raise ValueError(f'batches of {batch_size} samples need {needed / 1e9:.0f} GB of memory and {available / 1e9:.0f} GB are '
                         'free: set data.batch lower and engine.accumulate higher')


@cache
def _exit_event() -> Event:
    """An event that is set when this process exits."""
    event = multiprocessing.Event()
    atexit.register(event.set)
    return event


def _ignore_signals(exit_event: Event, worker: int) -> None:
    """Ignore SIGINT, and SIGTERM until the main process exits: both reach all processes, and the main one needs its workers to
    save a checkpoint."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if exit_event.is_set() else None)


def _synthetic(dataset: Callable[..., SizedDataset], size: int, partition: str, seed: int, **options: Any) -> Keyed:
    """Rendered faces as a data set whose epochs have different images."""
    length = len(dataset(partition, size, seed=seed, **options))
    return Keyed(dataset(partition, size, seed=seed, length=sys.maxsize, **options), length)
