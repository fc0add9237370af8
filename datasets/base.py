"""Base of the data sets."""
from typing import TypeVar

from torch.utils.data import Dataset

SampleT = TypeVar('SampleT', covariant=True)


class SizedDataset(Dataset[SampleT]):
    """A map-style data set with a length: index, or (epoch, index), -> sample. A subclass implements __len__ and __getitem__."""

    def __len__(self) -> int:
        raise TypeError(f'{type(self).__name__} does not implement __len__')
