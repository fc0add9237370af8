"""Distance of swap and target outside the face."""
from torch import Tensor

from models.precision import full_precision


@full_precision
def background_l1(swap: Tensor, target: Tensor, face: Tensor) -> Tensor:
    """Mean |swap - target| of images (B,3,H,W) outside the face (B,1,H,W), 1 = face. Scalar.

    sum((1 - face) |swap - target|) / (3 sum(1 - face))
    """
    background = 1 - face
    return ((swap - target).abs() * background).sum() / (background.sum() * swap.shape[1]).clamp_min(1)
