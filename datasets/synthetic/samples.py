"""PyTorch data sets of rendered faces: swaps with ground truth, pairs of photo and drawing, faces with their parameters."""
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.base import SizedDataset
from datasets.synthetic.parameters import sample_attributes, sample_identity
from datasets.synthetic.renderer import Rendering, render
from models.batch import PairBatch, SwapBatch
from models.images import to_tensor

# The split of an identity is determined by its number modulo 10; the splits are disjoint for any number of identities.
SPLITS = {'train': range(0, 8), 'validation': range(8, 9), 'test': range(9, 10)}
_LENGTHS = {'train': 20000, 'validation': 1000, 'test': 1000}


def identity_number(split: str, k: int) -> int:
    """The number of the k-th identity of a split, for `sample_identity`. Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f'unknown split {split!r}; known: {", ".join(SPLITS)}')
    digits = SPLITS[split]
    return k // len(digits) * 10 + digits[k % len(digits)]


class _RenderedDataset(SizedDataset):
    """Base of the data sets of rendered faces; sample i is a function of (seed, split, i).

    Args:
        split: 'train', 'validation' or 'test'.
        size: side of the images in pixels, 32 to 256.
        seed: of identities, attributes and samples.
        length: number of samples; None for 20000 in training and 1000 otherwise.
        num_identities: number of identities of the split, at least 2.

    Raises ValueError for an unknown split or too few identities.
    """

    def __init__(self, split: str = 'train', size: int = 64, *, seed: int = 0, length: int | None = None,
                 num_identities: int = 1000):
        identity_number(split, 0)
        if num_identities < 2:
            raise ValueError(f'num_identities must be at least 2, got {num_identities}')
        self.split, self.size, self.seed, self.num_identities = split, size, seed, num_identities
        self.length = _LENGTHS[split] if length is None else length

    def __len__(self) -> int:
        return self.length

    def _generator(self, index: int) -> np.random.Generator:
        """Random generator of a sample. Raises IndexError for an index outside the data set, which ends plain iteration."""
        if not 0 <= index < self.length:
            raise IndexError(f'sample {index} of {self.length}')
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, SPLITS[self.split].start, index, 3))))

    def _sample_identities(self, rng: np.random.Generator, count: int) -> list[int]:
        """Numbers of `count` different identities of the split."""
        return [identity_number(self.split, int(k)) for k in rng.choice(self.num_identities, count, replace=False)]

    def _render(self, identity: int, attributes: int, domain: str = 'photo') -> Rendering:
        """Render an identity and attributes by their numbers for `sample_identity` and `sample_attributes`."""
        return render(sample_identity(self.seed, identity), sample_attributes(self.seed, attributes), self.size, domain=domain)


def _sample_attributes_number(rng: np.random.Generator) -> int:
    return int(rng.integers(2 ** 31))


class SyntheticSwaps(_RenderedDataset):
    """SwapBatch samples without the batch dimension. `truth` is the ground truth of the swap: the identity of the source with the
    pose, expression, light, clothes, glasses and background of the target. With probability `same_ratio` source and target have
    the same identity, and the ground truth is the target itself."""

    def __init__(self, split: str = 'train', size: int = 64, *, same_ratio: float = 0.25, **kwargs: Any):
        super().__init__(split, size, **kwargs)
        if not 0 <= same_ratio <= 1:
            raise ValueError(f'same_ratio must be in [0, 1], got {same_ratio}')
        self.same_ratio = same_ratio

    def numbers(self, index: int) -> tuple[int, int, int, int]:
        """Numbers of the identities of source and target for `sample_identity`, and of their attributes for
        `sample_attributes`."""
        rng = self._generator(index)
        same = rng.random() < self.same_ratio
        first, second = self._sample_identities(rng, 2)
        return first, first if same else second, _sample_attributes_number(rng), _sample_attributes_number(rng)

    def __getitem__(self, index: int) -> SwapBatch:
        source_identity, target_identity, source_attributes, target_attributes = self.numbers(index)
        same = source_identity == target_identity
        source, target = self._render(source_identity, source_attributes), self._render(target_identity, target_attributes)
        truth = target if same else self._render(source_identity, target_attributes)
        return SwapBatch(
            source=to_tensor(source.image), target=to_tensor(target.image), same=torch.tensor(same),
            target_parsing=torch.from_numpy(target.parsing).long(), source_label=torch.tensor(source_identity),
            target_label=torch.tensor(target_identity), truth=to_tensor(truth.image),
            target_landmarks=torch.from_numpy(target.points).float())


class SyntheticPairs(_RenderedDataset):
    """PairBatch samples without the batch dimension: a photo `a` and a drawing `b`, with the same identity and attributes if
    `paired`, otherwise with different ones."""

    def __init__(self, split: str = 'train', size: int = 64, *, paired: bool = True, **kwargs: Any):
        super().__init__(split, size, **kwargs)
        self.paired = paired

    def __getitem__(self, index: int) -> PairBatch:
        rng = self._generator(index)
        a_identity, b_identity = self._sample_identities(rng, 2)
        a_attributes, b_attributes = _sample_attributes_number(rng), _sample_attributes_number(rng)
        if self.paired:
            b_identity, b_attributes = a_identity, a_attributes
        photo, drawing = self._render(a_identity, a_attributes), self._render(b_identity, b_attributes, 'drawing')
        return PairBatch(a=to_tensor(photo.image), b=to_tensor(drawing.image), paired=torch.tensor(self.paired),
                         a_label=torch.tensor(a_identity), b_label=torch.tensor(b_identity))


class SyntheticFaces(_RenderedDataset):
    """Single faces with their annotations and parameters, as a dict: image float32 (3,H,W) in [-1,1], parsing int64 (H,W),
    landmarks float32 (68,2), points float32 (5,2), identity and attributes float32 vectors, label int64 ()."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = self._generator(index)
        label, attributes_number = self._sample_identities(rng, 1)[0], _sample_attributes_number(rng)
        identity, attributes = sample_identity(self.seed, label), sample_attributes(self.seed, attributes_number)
        rendering = render(identity, attributes, self.size)
        return {'image': to_tensor(rendering.image), 'parsing': torch.from_numpy(rendering.parsing).long(),
                'landmarks': torch.from_numpy(rendering.landmarks), 'points': torch.from_numpy(rendering.points),
                'identity': torch.from_numpy(identity), 'attributes': torch.from_numpy(attributes),
                'label': torch.tensor(label)}
