"""Identity-feature losses between unit vectors."""
from torch import Tensor


def identity_distance(swap: Tensor, source: Tensor) -> Tensor:
    """mean(1 - cosine) of (B,D) unit vectors, in 0..2 (SimSwap, Chen et al. 2020, eq. 3)."""
    return (1 - (swap * source).sum(1)).mean()
