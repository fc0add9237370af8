"""PyTorch data sets of rendered faces: swaps with ground truth, photo and drawing pairs, single faces with their parameters."""
import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.synthetic.causes import sample_attributes, sample_identity
from datasets.synthetic.paint import Rendering, render
from models.batch import PairBatch, SwapBatch

# The split of an identity is determined by its number modulo 10; the splits are disjoint for any number of identities.
SPLITS = {'train': range(0, 8), 'validation': range(8, 9), 'test': range(9, 10)}
_LENGTHS = {'train': 20000, 'validation': 1000, 'test': 1000}


def identity_number(split: str, k: int) -> int:
    """The number of the k-th identity of a split. Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f'unknown split {split!r}; known: {", ".join(SPLITS)}')
    digits = SPLITS[split]
    return k // len(digits) * 10 + digits[k % len(digits)]


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """uint8 (H,W,3) -> float32 (3,H,W) in [-1,1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float().div_(127.5).sub_(1)


class _Rendered(Dataset):
    """Base of the data sets of rendered faces; sample i is a function of (seed, split, i).

    size: side in pixels, 32 to 256. num_identities: number of identities of the split. length: number of samples.
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

    def _start(self, index: int) -> np.random.Generator:
        """Random generator of a sample. Raises IndexError outside the data set, which ends plain iteration."""
        if not 0 <= index < self.length:
            raise IndexError(f'sample {index} of {self.length}')
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, SPLITS[self.split].start, index, 3))))

    def _identities(self, rng: np.random.Generator, count: int) -> list[int]:
        """Numbers of different identities of the split."""
        return [identity_number(self.split, int(k)) for k in rng.choice(self.num_identities, count, replace=False)]

    def _render(self, identity: int, setting: int, domain: str = 'photo') -> Rendering:
        return render(sample_identity(self.seed, identity), sample_attributes(self.seed, setting), self.size, domain=domain)


def _setting(rng: np.random.Generator) -> int:
    """A number for sample_attributes."""
    return int(rng.integers(2 ** 31))


class SyntheticSwaps(_Rendered):
    """SwapBatch samples without the leading dimension; `truth` is the ground truth of the swap: the identity of the source
    with the pose, expression, light, clothes, glasses and background of the target. With probability same_ratio source and target
    have the same identity, and the ground truth is the target itself."""

    def __init__(self, split: str = 'train', size: int = 64, *, same_ratio: float = 0.25, **kwargs):
        super().__init__(split, size, **kwargs)
        if not 0 <= same_ratio <= 1:
            raise ValueError(f'same_ratio must be in [0, 1], got {same_ratio}')
        self.same_ratio = same_ratio

    def causes(self, index: int) -> tuple[int, int, int, int]:
        """Identities of source and target (for sample_identity), attribute indices of source and target (for
        sample_attributes)."""
        rng = self._start(index)
        same = rng.random() < self.same_ratio
        first, second = self._identities(rng, 2)
        return first, first if same else second, _setting(rng), _setting(rng)

    def __getitem__(self, index: int) -> SwapBatch:
        source_id, target_id, source_setting, target_setting = self.causes(index)
        same = source_id == target_id
        source, target = self._render(source_id, source_setting), self._render(target_id, target_setting)
        truth = target if same else self._render(source_id, target_setting)
        return SwapBatch(
            source=to_tensor(source.image), target=to_tensor(target.image), same=torch.tensor(same),
            target_parsing=torch.from_numpy(target.parsing).long(), source_label=torch.tensor(source_id),
            target_label=torch.tensor(target_id), truth=to_tensor(truth.image),
            target_landmarks=torch.from_numpy(target.points).float())


class SyntheticPairs(_Rendered):
    """PairBatch samples without the leading dimension: a photo and a drawing with the same identity and attributes if paired,
    otherwise with different ones."""

    def __init__(self, split: str = 'train', size: int = 64, *, paired: bool = True, **kwargs):
        super().__init__(split, size, **kwargs)
        self.paired = paired

    def __getitem__(self, index: int) -> PairBatch:
        rng = self._start(index)
        a_id, b_id = self._identities(rng, 2)
        a_setting, b_setting = _setting(rng), _setting(rng)
        if self.paired:
            b_id, b_setting = a_id, a_setting
        photo, drawing = self._render(a_id, a_setting), self._render(b_id, b_setting, 'drawing')
        return PairBatch(a=to_tensor(photo.image), b=to_tensor(drawing.image), paired=torch.tensor(self.paired),
                         a_label=torch.tensor(a_id), b_label=torch.tensor(b_id))


class SyntheticFaces(_Rendered):
    """Single faces with their annotations and parameters, as a dict: image float32 (3,H,W) in [-1,1], parsing int64 (H,W),
    landmarks float32 (68,2), points float32 (5,2), identity and attributes float32 vectors, label int64."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = self._start(index)
        label, setting = self._identities(rng, 1)[0], _setting(rng)
        identity, attributes = sample_identity(self.seed, label), sample_attributes(self.seed, setting)
        rendering = render(identity, attributes, self.size)
        return {'image': to_tensor(rendering.image), 'parsing': torch.from_numpy(rendering.parsing).long(),
                'landmarks': torch.from_numpy(rendering.landmarks), 'points': torch.from_numpy(rendering.points),
                'identity': torch.from_numpy(identity), 'attributes': torch.from_numpy(attributes),
                'label': torch.tensor(label)}
