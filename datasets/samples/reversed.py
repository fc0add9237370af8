"""Reversed pairs: swaps of other identities onto the images of a cache, whose expected swap back is the image itself.

A trained swapper swaps another identity onto an image A2. In training, this swap is the target, another image A1 of the identity
of A2 is the source, and A2 is the truth (DreamID, Ye et al. 2025, arXiv:2504.14509, section 3.2).

Files beside a cache of datasets.cache: reversed-images.npy (M*K,3,H,W) uint8, reversed-parsing.npy (M*K,H,W) uint8 with label
maps, and reversed.npz with the rows (M,) of the cache, the labels of the swapped identities (M,K), and a stamp. Only images of
the partition `train` are reversed, by identities of that partition.
"""
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datasets.cache import PackedFaces
from datasets.faces import PARTITIONS
from datasets.partial import PartialArrays, fill_batches
from datasets.transforms.joint import to_signed_float
from models.batch import SwapBatch
from models.images import to_uint8
from models.storage.files import check_writable, replacing

IMAGES_FILE, PARSING_FILE, INDEX_FILE = 'reversed-images.npy', 'reversed-parsing.npy', 'reversed.npz'
_NOTE, _FILLED = 'reversed.stamp.part', 'reversed-status.npy'


class ReversedPairs:
    """The reversed pairs of a cache, read from memory-mapped files.

    Raises ValueError if the cache has none.
    """

    def __init__(self, faces: PackedFaces) -> None:
        self.folder = faces.root
        if not (self.folder / INDEX_FILE).is_file():
            raise ValueError(f'{self.folder} holds no reversed pairs; write them with scripts/prepare_data.py reverse')
        with np.load(self.folder / INDEX_FILE, allow_pickle=False) as index:
            rows, self._swapped_labels, self.stamp = index['rows'], index['swapped_labels'], str(index['stamp'])
        self._position = np.full(rows.max() + 1, -1)
        self._position[rows] = np.arange(len(rows))
        self._open()

    def __len__(self) -> int:
        return self._swapped_labels.size

    def has(self, row: int) -> bool:
        """Whether the image in this row of the cache is reversed."""
        return row < len(self._position) and self._position[row] >= 0

    def read(self, row: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
        """A swap onto the image of a row, one of K: (H,W,3) uint8, its label map (H,W) uint8, and the label of the swapped
        identity."""
        position, k = self._position[row], int(rng.integers(self._swapped_labels.shape[1]))
        pair = position * self._swapped_labels.shape[1] + k
        return self._images[pair].transpose(1, 2, 0), self._parsing[pair], int(self._swapped_labels[position, k])

    def _open(self) -> None:
        self._images, self._parsing = (np.asarray(np.load(self.folder / name, mmap_mode='c'))
                                       for name in (IMAGES_FILE, PARSING_FILE))

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name not in ('_images', '_parsing')}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._open()


def reverse(folder: str | Path, swapper: Callable[[SwapBatch], Tensor], labels_of: Callable[[Tensor], Tensor], *, name: str,
            per_image: int = 2, seed: int = 0, batch: int = 32,
            progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Write the reversed pairs of a cache with label maps, unless it has them, and return their number.

    An interrupted call resumes where it stopped.

    Args:
        swapper: a batch of sources and targets with parsing labels -> swaps (B,3,H,W) in [-1,1].
        labels_of: images (B,3,H,W) in [-1,1] -> ids of PARTS (B,H,W).
        name: identifies the swapper's weights, such as their sha256.
        per_image: number K of swaps per image.
        seed: random seed of the swapped identities, which are sampled uniformly from the other identities.

    Raises:
        ValueError: the cache has no label maps, fewer than two identities to train on, or pairs of another swapper.
    """
    faces = PackedFaces(folder)
    check_writable(faces.root / INDEX_FILE)
    if not faces.has_parsing:
        raise ValueError(f'{faces.root} has no parsing maps; add them with scripts/prepare_data.py label')
    faces = faces.select(np.flatnonzero(faces.splits == PARTITIONS.index('train')))
    if len(np.unique(faces.labels)) < 2:
        raise ValueError(f'{faces.root} has fewer than two identities in the partition train, so no identity can be swapped')
    stamp = hashlib.sha256(repr((name, per_image, seed, batch, len(faces), faces.rows.tolist())).encode()).hexdigest()
    if (faces.root / INDEX_FILE).is_file():
        stored = ReversedPairs(faces)
        if stored.stamp != stamp:
            raise ValueError(f'{faces.root} has reversed pairs of another swapper or other options; delete {INDEX_FILE} there to '
                             'replace them')
        return len(stored)

    sources = _sample_sources(faces, per_image, seed)
    pairs, size = sources.size, (faces.frame.height, faces.frame.width)
    arrays = PartialArrays(faces.root / _NOTE, stamp, {
        IMAGES_FILE: (np.uint8, (pairs, 3, *size), 0), PARSING_FILE: (np.uint8, (pairs, *size), 0),
        _FILLED: (np.uint8, (-(-pairs // batch),), 0)}, 'the reversed pairs')

    def render(indices: np.ndarray) -> np.ndarray:
        images, labels = zip(*(faces.read(int(row))[:2] for row in indices // per_image))
        source_images = [faces.read(int(row))[0] for row in sources.ravel()[indices]]
        swaps = swapper(SwapBatch(source=_images(source_images), target=_images(images),
                                  same=torch.zeros(len(indices), dtype=torch.bool),
                                  target_parsing=torch.from_numpy(np.stack(labels)).long()))
        stored = to_uint8(swaps).transpose(0, 3, 1, 2)  # (N,3,H,W)
        arrays[PARSING_FILE][indices] = labels_of(to_signed_float(torch.from_numpy(stored.copy()))).byte().numpy()
        return stored

    fill_batches(arrays, IMAGES_FILE, _FILLED, np.arange(pairs), batch, render, progress)
    arrays.keep(IMAGES_FILE, PARSING_FILE)
    with replacing(faces.root / INDEX_FILE) as temporary, temporary.open('wb') as handle:
        np.savez(handle, rows=faces.rows, swapped_labels=faces.labels[sources], stamp=stamp)
    arrays.discard()
    return pairs


def _images(images: list[np.ndarray]) -> Tensor:
    """N images (H,W,3) uint8 -> (N,3,H,W) float32 in [-1,1]."""
    return to_signed_float(torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()))


def _sample_sources(faces: PackedFaces, per_image: int, seed: int) -> np.ndarray:
    """(N,K): for each image the indices of K images of other identities, which are sampled uniformly."""
    order = np.argsort(faces.labels, kind='stable')
    present, rank, counts = np.unique(faces.labels, return_inverse=True, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)])
    rng = np.random.default_rng(seed)
    other = rng.integers(len(present) - 1, size=(len(faces), per_image))
    other += other >= rank[:, None]
    return order[starts[other] + (rng.random(other.shape) * counts[other]).astype(int)]
