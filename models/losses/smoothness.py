"""How rough an image is."""
from torch import Tensor

from models.precision import full_precision


@full_precision
def total_variation(image: Tensor, *, inside: Tensor | None = None) -> Tensor:
    """Mean abs difference of neighboring pixels of (B,C,H,W), across and down (Mahendran & Vedaldi 2015, eq. 6). inside
    (B,1,H,W) in [0,1]: differences count as much as both pixels do. Scalar."""
    across, down = (image[..., 1:] - image[..., :-1]).abs(), (image[..., 1:, :] - image[..., :-1, :]).abs()
    if inside is not None:
        across, down = across * inside[..., 1:] * inside[..., :-1], down * inside[..., 1:, :] * inside[..., :-1, :]
    return across.mean() + down.mean()
