"""Rendered faces with their rendering parameters, for training a network that regresses the parameters."""
import sys

import numpy as np
import torch
from numpy.typing import ArrayLike

from datasets.base import SizedDataset
from datasets.synthetic import ATTRIBUTE_RANGES, ATTRIBUTES, IDENTITY, SyntheticFaces
from models.batch import CauseBatch

# Attributes of the face itself; the others describe the background, the clothes and the camera.
READ_ATTRIBUTES = ATTRIBUTES[:ATTRIBUTES.index('background_hue')] + ('glasses',)
CAUSES = (*IDENTITY, *READ_ATTRIBUTES)
# Causes whose sign switches a feature on (above 0) or off.
SWITCHES = ('makeup', 'freckles', 'bald', 'beard', 'glasses')

_ROWS = [ATTRIBUTES.index(name) for name in READ_ATTRIBUTES]
_LOW, _HIGH = np.array([ATTRIBUTE_RANGES[name] for name in READ_ATTRIBUTES], np.float32).T


def causes_of(identity: ArrayLike, attributes: ArrayLike) -> torch.Tensor:
    """The identity and attribute vectors of datasets.synthetic.parameters as one (len(CAUSES),) float32 vector in [-1,1]."""
    scaled = 2 * (np.asarray(attributes, np.float32)[_ROWS] - _LOW) / (_HIGH - _LOW) - 1
    return torch.from_numpy(np.concatenate([np.asarray(identity, np.float32), scaled]))


class RenderedCauses(SizedDataset):
    """CauseBatch samples without the batch dimension.

    A key is an index of epoch 0 or a pair (epoch, index); different keys give different images. num_identities: number of
    identities of the split.
    """

    def __init__(self, split: str = 'train', size: int = 64, *, seed: int = 0, num_identities: int = 10 ** 6):
        self.length = len(SyntheticFaces(split))
        self.faces = SyntheticFaces(split, size, seed=seed, num_identities=num_identities, length=sys.maxsize)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> CauseBatch:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if not 0 <= index < self.length:
            raise IndexError(index)
        sample = self.faces[epoch * self.length + index]
        return CauseBatch(sample['image'], causes_of(sample['identity'], sample['attributes']))
