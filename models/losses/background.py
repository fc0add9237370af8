"""What a swap must leave alone."""
from torch import Tensor

from models.precision import full_precision


@full_precision
def background_l1(swap: Tensor, target: Tensor, face: Tensor) -> Tensor:
    """Mean |swap - target| where `face` (B,1,H,W), 1 = face, is 0, per background pixel and channel. Images (B,3,H,W)."""
    outside = 1 - face
    return ((swap - target).abs() * outside).sum() / (outside.sum() * swap.shape[1]).clamp_min(1)
