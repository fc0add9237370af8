"""Source and target pairs for face swapping, from any list of faces."""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from configs.reading import read_rows, shown
from datasets.base import SizedDataset
from datasets.cache import PackedFaces
from datasets.faces import Faces
from datasets.samples.readable import MAX_ATTEMPTS, FaceImage, Readable
from datasets.samples.reversed import ReversedPairs
from datasets.transforms.joint import Augmentation, Jitter, face_frame, first, into_frame, unpacked
from models.batch import SwapBatch


class Swaps(SizedDataset):
    """SwapBatch samples without the batch dimension, in the template `face` at `size` pixels.

    A key is an index, in the epoch of `set_epoch`, or a pair (epoch, index). A sample depends only on the seed, the key and the
    files. With probability `same_ratio` the source is another image of the target's identity (the target image itself if there
    is no other), otherwise an image of another identity, with uniform probability over identities. The target is image `index`;
    with `balanced`, an identity with n images is sampled with a probability proportional to the square root of n instead. An
    unreadable target is replaced by the next image of the list. encoder: name of the identity encoder whose stored embeddings
    of the images, without augmentation, are returned as source_embedding if the list has them.

    With probability `reversed_ratio` a sample is a reversed pair (datasets.samples.reversed), if the list has one for image
    `index`: that image is the truth, the target is a swap of another identity onto it, and the source is another image of its
    identity.

    Raises ValueError for a ratio outside [0,1], for a list with a single identity unless same_ratio is 1, and for a
    reversed_ratio above 0 of a list without reversed pairs.
    """

    def __init__(self, faces: Faces, size: int, *, same_ratio: float = 0.5, seed: int = 0, balanced: bool = False,
                 augmentation: Augmentation | None = None, encoder: str | None = None, reversed_ratio: float = 0.0):
        if not 0 <= same_ratio <= 1:
            raise ValueError(f'same_ratio is a probability between 0 and 1, not {same_ratio}')
        if not 0 <= reversed_ratio <= 1:
            raise ValueError(f'reversed is a probability between 0 and 1, not {reversed_ratio}')
        self.reversed_ratio = reversed_ratio
        self._reversed: ReversedPairs | None = None
        if reversed_ratio:
            if not isinstance(faces, PackedFaces):
                raise ValueError(f'{faces.root} is no cache, and reversed pairs are part of a cache; pack it with '
                                 'scripts/prepare_data.py or set data.reversed=0')
            self._reversed = ReversedPairs(faces)
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
        """The number of images that could not be read."""
        return self.readable.broken

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of keys that are an index; workers receive it only when they start."""
        self.epoch = epoch

    def __getitem__(self, key: int | tuple[int, int]) -> SwapBatch:
        return unpacked(first(self.batch([key])))

    def batch(self, keys: list) -> SwapBatch:
        """The samples of several keys, with uint8 images and label maps, a quarter of the bytes to transfer between processes."""
        sources, targets, parsing, points, source_rows, target_labels, truths = zip(*map(self._sample, keys))
        source_label, target_label = torch.from_numpy(self.faces.labels.take(source_rows)), torch.tensor(target_labels)
        return SwapBatch(source=torch.stack(sources), target=torch.stack(targets), same=source_label == target_label,
                         target_parsing=None if parsing[0] is None else torch.stack(parsing),
                         source_embedding=None if self._embeddings is None else
                         torch.from_numpy(self._embeddings[list(source_rows)]),
                         source_label=source_label, target_label=target_label,
                         target_landmarks=torch.stack([_landmarks_or_nan(landmarks) for landmarks in points]),
                         truth=None if self._reversed is None else torch.stack([
                             target if truth is None else truth for truth, target in zip(truths, targets)]),
                         has_truth=None if self._reversed is None else torch.tensor([truth is not None for truth in truths]))

    def _sample(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, int, int, Tensor | None]:
        """Source, target, label map and landmarks of the target, index of the source, identity label of the target, and the
        truth of a reversed pair."""
        epoch, index = key if isinstance(key, tuple) else (self.epoch, int(key))
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        if self.balanced:
            index = self._random_image(int(self._cdf.searchsorted(rng.random(), side='right')), rng)
        index, target_content = self.readable.read_next(index)
        same = bool(rng.random() < self.same_ratio)
        row = int(self.faces.rows[index]) if isinstance(self.faces, PackedFaces) else index
        pairs = self._reversed if self._reversed is not None and rng.random() < self.reversed_ratio else None
        if pairs is not None and not pairs.has(row):
            pairs = None
        source_index, (source_image, _, source_points) = self._source(index, target_content, same or pairs is not None, rng)
        target_label, truth, jitter = int(self.faces.labels[index]), None, self._jitter(rng)
        if pairs is not None:
            image, _, landmarks = target_content
            truth = self._framed(image, None, None, jitter)[0]
            swap, parsing, target_label = pairs.read(row, rng)
            target_content = swap, parsing, landmarks
        target, labels, points = self._framed(*target_content, jitter)
        source, _, _ = self._framed(source_image, None, source_points if self.faces.frame is None else None, self._jitter(rng))
        return source, target, labels, points, source_index, target_label, truth

    def _jitter(self, rng: np.random.Generator) -> Jitter | None:
        return self.augmentation.sample(rng) if self.augmentation else None

    def _framed(self, image: np.ndarray, labels: np.ndarray | None, points: np.ndarray | None,
                jitter: Jitter | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
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
            # The last image of the identity is outside the range and replaces the target, so that all others are equally likely.
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
    """The pairs of a CSV file (columns source and target, files relative to the folder of the images), in the order of the file.

    Raises ValueError for a list that is malformed or names an unknown file. A sample with an unreadable image raises BrokenImage.
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
