"""PyTorch data sets of drawn faces: swaps with their true answer, photo and drawing pairs, single faces with their causes."""
import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.synthetic.causes import sample_attributes, sample_identity
from datasets.synthetic.paint import Rendering, render
from models.batch import PairBatch, SwapBatch

# Persons are dealt to the splits by their number modulo 10, so that no person is in two splits however many are used.
SPLITS = {'train': range(0, 8), 'validation': range(8, 9), 'test': range(9, 10)}
_LENGTHS = {'train': 20000, 'validation': 1000, 'test': 1000}


def person(split: str, k: int) -> int:
    """The number of the split's k-th person; ValueError on an unknown split."""
    if split not in SPLITS:
        raise ValueError(f'unknown split {split!r}; known: {", ".join(SPLITS)}')
    digits = SPLITS[split]
    return k // len(digits) * 10 + digits[k % len(digits)]


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """uint8 (H,W,3) -> float32 (3,H,W) in [-1,1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float().div_(127.5).sub_(1)


class _Drawn(Dataset):
    """Sample i is a pure function of (seed, split, i).

    size: side in pixels, 32 to 256. persons: how many different people the split shows. length: samples.
    """

    def __init__(self, split: str = 'train', size: int = 64, *, seed: int = 0, length: int | None = None, persons: int = 1000):
        person(split, 0)
        if persons < 2:
            raise ValueError(f'persons must be at least 2, got {persons}')
        self.split, self.size, self.seed, self.persons = split, size, seed, persons
        self.length = _LENGTHS[split] if length is None else length

    def __len__(self) -> int:
        return self.length

    def _start(self, index: int) -> np.random.Generator:
        """The sample's own random numbers; IndexError past the end, so that plain iteration stops."""
        if not 0 <= index < self.length:
            raise IndexError(f'sample {index} of {self.length}')
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, SPLITS[self.split].start, index, 3))))

    def _people(self, rng: np.random.Generator, count: int) -> list[int]:
        """Numbers of different people of the split."""
        return [person(self.split, int(k)) for k in rng.choice(self.persons, count, replace=False)]

    def _draw(self, who: int, setting: int, domain: str = 'photo') -> Rendering:
        return render(sample_identity(self.seed, who), sample_attributes(self.seed, setting), self.size, domain=domain)


def _setting(rng: np.random.Generator) -> int:
    """A number for sample_attributes."""
    return int(rng.integers(2 ** 31))


class SyntheticSwaps(_Drawn):
    """SwapBatch samples without the leading dimension; `truth` is the true swap: the source's person with the target's pose,
    expression, light, clothes, glasses and background. With probability same_ratio both show one person, and the truth is
    the target itself."""

    def __init__(self, split: str = 'train', size: int = 64, *, same_ratio: float = 0.25, **kwargs):
        super().__init__(split, size, **kwargs)
        if not 0 <= same_ratio <= 1:
            raise ValueError(f'same_ratio must be in [0, 1], got {same_ratio}')
        self.same_ratio = same_ratio

    def causes(self, index: int) -> tuple[int, int, int, int]:
        """Source's person, target's person (both for sample_identity), source's and target's setting (for
        sample_attributes)."""
        rng = self._start(index)
        same = rng.random() < self.same_ratio
        first, second = self._people(rng, 2)
        return first, first if same else second, _setting(rng), _setting(rng)

    def __getitem__(self, index: int) -> SwapBatch:
        first, second, here, there = self.causes(index)
        same = first == second
        source, target = self._draw(first, here), self._draw(second, there)
        truth = target if same else self._draw(first, there)
        return SwapBatch(
            source=to_tensor(source.image), target=to_tensor(target.image), same=torch.tensor(same),
            target_parsing=torch.from_numpy(target.parsing).long(), source_label=torch.tensor(first),
            target_label=torch.tensor(second), truth=to_tensor(truth.image),
            target_landmarks=torch.from_numpy(target.points).float())


class SyntheticPairs(_Drawn):
    """PairBatch samples without the leading dimension: a photo and a drawing, of the same face in the same pose where paired;
    otherwise of two people in two poses."""

    def __init__(self, split: str = 'train', size: int = 64, *, paired: bool = True, **kwargs):
        super().__init__(split, size, **kwargs)
        self.paired = paired

    def __getitem__(self, index: int) -> PairBatch:
        rng = self._start(index)
        first, second = self._people(rng, 2)
        here, there = _setting(rng), _setting(rng)
        if self.paired:
            second, there = first, here
        photo, drawing = self._draw(first, here), self._draw(second, there, 'drawing')
        return PairBatch(a=to_tensor(photo.image), b=to_tensor(drawing.image), paired=torch.tensor(self.paired),
                         a_label=torch.tensor(first), b_label=torch.tensor(second))


class SyntheticFaces(_Drawn):
    """Single faces with all that is known of them, as a dict: image float32 (3,H,W) in [-1,1], parsing int64 (H,W),
    landmarks float32 (68,2), points float32 (5,2), identity and attributes float32 vectors, person int64."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = self._start(index)
        who, setting = self._people(rng, 1)[0], _setting(rng)
        identity, attributes = sample_identity(self.seed, who), sample_attributes(self.seed, setting)
        drawn = render(identity, attributes, self.size)
        return {'image': to_tensor(drawn.image), 'parsing': torch.from_numpy(drawn.parsing).long(),
                'landmarks': torch.from_numpy(drawn.landmarks), 'points': torch.from_numpy(drawn.points),
                'identity': torch.from_numpy(identity), 'attributes': torch.from_numpy(attributes), 'person': torch.tensor(who)}
