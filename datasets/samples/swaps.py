"""Source and target pairs for face swapping, from any list of faces."""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from configs.reading import read_rows, shown
from datasets.base import SizedDataset
from datasets.faces import Faces
from datasets.samples.readable import MAX_ATTEMPTS, FaceImage, Readable
from datasets.transforms.joint import Augmentation, face_frame, first, into_frame, unpacked
from models.batch import SwapBatch


class Swaps(SizedDataset):
    """SwapBatch samples without the batch dimension, in the template `face` at `size` pixels.

    A key is an index, in the epoch of `set_epoch`, or a pair (epoch, index). A sample depends only on the seed, the key and the
    files. With probability `same_ratio` the source is another image of the target's identity (the target image itself if there
    is no other), otherwise an image of another identity, with uniform probability over identities. The target is image `index`;
    with `balanced`, an identity with n images is sampled with a probability proportional to the square root of n instead. An
    unreadable target is replaced by the next image of the list. encoder: name of the identity encoder whose stored embeddings
    of the images, without augmentation, are returned as source_embedding if the list has them.

    Raises ValueError for a same_ratio outside [0,1], and for a list with a single identity unless same_ratio is 1.
    """

    def __init__(self, faces: Faces, size: int, *, same_ratio: float = 0.5, seed: int = 0, balanced: bool = False,
                 augmentation: Augmentation | None = None, encoder: str | None = None):
        if not 0 <= same_ratio <= 1:
            raise ValueError(f'same_ratio is a probability between 0 and 1, not {same_ratio}')
        self.faces, self.same_ratio, self.seed, self.augmentation = faces, same_ratio, seed, augmentation
        self.epoch, self.to, self.balanced = 0, face_frame(size), balanced
        self.readable = Readable(faces)
        self._embeddings = None if encoder is None else faces.embeddings(encoder)
        # Images sorted by identity: those of the k-th identity present are order[starts[k]:starts[k + 1]].
        self._order = np.argsort(faces.labels, kind='stable')
        present, self._rank, counts = np.unique(faces.labels, return_inverse=True, return_counts=True)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._cdf = np.cumsum(np.sqrt(counts)) / np.sqrt(counts).sum()
        if len(present) < 2 and same_ratio < 1:
            raise ValueError(f'{faces.root} holds a single identity, so there is no source of another identity; '
                             'add identities or use same_ratio 1')

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def broken(self) -> int:
        return self.readable.broken

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of keys that are an index; workers receive it only when they start."""
        self.epoch = epoch

    def __getitem__(self, key: int | tuple[int, int]) -> SwapBatch:
        return unpacked(first(self.batch([key])))

    def batch(self, keys: list) -> SwapBatch:
        """The samples of several keys, with uint8 images and label maps, a quarter of the bytes to transfer between processes."""
        sources, targets, parsing, points, source_rows, target_rows = zip(*map(self._sample, keys))
        source_label, target_label = (torch.from_numpy(self.faces.labels.take(rows)) for rows in (source_rows, target_rows))
        return SwapBatch(source=torch.stack(sources), target=torch.stack(targets), same=source_label == target_label,
                         target_parsing=None if parsing[0] is None else torch.stack(parsing),
                         source_embedding=None if self._embeddings is None else
                         torch.from_numpy(self._embeddings[list(source_rows)]),
                         source_label=source_label, target_label=target_label,
                         target_landmarks=torch.stack([_landmarks_or_nan(landmarks) for landmarks in points]))

    def _sample(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, int, int]:
        """Source, target, label map and landmarks of the target, index of the source, index of the target."""
        epoch, index = key if isinstance(key, tuple) else (self.epoch, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        if self.balanced:
            index = self._random_image(int(self._cdf.searchsorted(rng.random(), side='right')), rng)
        index, target_content = self.readable.read_next(index)
        same = bool(rng.random() < self.same_ratio)
        source_index, (source_image, _, source_points) = self._source(index, target_content, same, rng)
        target, labels, points = self._framed(*target_content, rng)
        source, _, _ = self._framed(source_image, None, source_points if self.faces.frame is None else None, rng)
        return source, target, labels, points, source_index, index

    def _framed(self, image: np.ndarray, labels: np.ndarray | None, points: np.ndarray | None,
                rng: np.random.Generator) -> tuple[Tensor, Tensor | None, Tensor | None]:
        jitter = self.augmentation.sample(rng) if self.augmentation else None
        return into_frame(image, labels, points, self.faces.frame, self.to, jitter)

    def _random_image(self, rank: int, rng: np.random.Generator) -> int:
        """Row of a random image of the identity of this rank."""
        return int(self._order[rng.integers(self._starts[rank], self._starts[rank + 1])])

    def _source(self, target: int, content: FaceImage, same: bool, rng: np.random.Generator) -> tuple[int, FaceImage]:
        """Row and content of a random source. content: that of the target, the source if its identity has no other image."""
        rank = int(self._rank[target])
        if same and self._starts[rank + 1] - self._starts[rank] == 1:
            return target, content
        for _ in range(MAX_ATTEMPTS):
            # The range is one short and skips the target, so that all other images are equally likely.
            if same:
                candidate = int(self._order[rng.integers(self._starts[rank], self._starts[rank + 1] - 1)])
                candidate = int(self._order[self._starts[rank + 1] - 1]) if candidate == target else candidate
            else:
                other = int(rng.integers(len(self._starts) - 2))
                candidate = self._random_image(other + (other >= rank), rng)
            if (source := self.readable.read(candidate)) is not None:
                return candidate, source
        if same:
            return target, content
        raise RuntimeError(f'no readable image of another identity in {MAX_ATTEMPTS} attempts under {self.faces.root}; '
                           'check the disk or unpack the data again')


class ListedSwaps(SizedDataset):
    """The pairs of a CSV (columns source and target, files relative to the images' folder), in its order.

    Raises ValueError for a list that is malformed or names an unknown file, and BrokenImage for an unreadable image: pairs of
    a fixed list are never replaced.
    """

    def __init__(self, faces: Faces, path: str | Path, size: int):
        self.faces, self.to = faces, face_frame(size)
        rows = {str(name): i for i, name in enumerate(faces.files)}
        names = [(row['source'], row['target']) for row in read_rows(path, ('source', 'target'))]
        if not names:
            raise ValueError(f'{path} lists no pair; write a source and a target in each line')
        unknown = [name for pair in names for name in pair if name not in rows]
        if unknown:
            raise ValueError(f'{path} names {shown(unknown[0])} (and {len(unknown) - 1} others), which is not among the images '
                             f'of {faces.root}')
        self.pairs = [(rows[source], rows[target]) for source, target in names]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int | tuple[int, int]) -> SwapBatch:
        source, target = self.pairs[key[1] if isinstance(key, tuple) else int(key)]
        image, parsing, points = into_frame(*self.faces.read(target), self.faces.frame, self.to)
        labels = self.faces.labels
        return unpacked(SwapBatch(
            source=into_frame(*self.faces.read(source), self.faces.frame, self.to)[0], target=image,
            same=torch.tensor(bool(labels[source] == labels[target])), target_parsing=parsing,
            source_label=torch.tensor(labels[source]), target_label=torch.tensor(labels[target]),
            target_landmarks=_landmarks_or_nan(points)))


def _landmarks_or_nan(points: Tensor | None) -> Tensor:
    """Landmarks (5,2); NaN if unknown, as samples with and without landmarks share a batch."""
    return torch.full((5, 2), torch.nan) if points is None else points
