"""Total variation."""
from torch import Tensor

from models.precision import full_precision


@full_precision
def total_variation(image: Tensor, *, inside: Tensor | None = None) -> Tensor:
    """Mean absolute difference of neighboring pixels of (B,C,H,W), horizontal and vertical (Mahendran & Vedaldi 2015, eq. 6).
    Scalar. inside: (B,1,H,W) in [0,1], weights of the pixels; a difference has the product of its pixels' weights."""
    across, down = (image[..., 1:] - image[..., :-1]).abs(), (image[..., 1:, :] - image[..., :-1, :]).abs()
    if inside is not None:
        across, down = across * inside[..., 1:] * inside[..., :-1], down * inside[..., 1:, :] * inside[..., :-1, :]
    return across.mean() + down.mean()
