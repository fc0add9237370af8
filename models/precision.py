"""Float32 computation under autocast."""
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

_HALF = torch.float16, torch.bfloat16
P = ParamSpec('P')
R = TypeVar('R')


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator that disables autocast in `function` and converts half-precision tensors among its arguments, also in lists,
    tuples and dicts, to float32. For coordinates, resampling grids, landmarks, parsing, statistics, singular values and
    losses."""
    def widened(value: object) -> object:
        return value.float() if isinstance(value, Tensor) and value.dtype in _HALF else value

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        device = next((value.device.type for value in tensors if torch.is_autocast_enabled(value.device.type)), None)
        if device is not None:
            with torch.autocast(device, enabled=False):
                return wrapper(*args, **kwargs)
        args, kwargs = tree_map(widened, (args, kwargs))
        return function(*args, **kwargs)

    return wrapper


@full_precision
def normalized(vectors: Tensor, dim: int = 1) -> Tensor:
    """Vectors of unit length along `dim`, in float32: norms below 6e-8 underflow in float16."""
    return F.normalize(vectors, dim=dim)
