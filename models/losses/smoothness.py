"""How rough a picture is."""
from torch import Tensor


def total_variation(picture: Tensor) -> Tensor:
    """Mean abs difference of neighbouring pixels of (B,C,H,W), across and down (Mahendran & Vedaldi 2015, eq. 6). Scalar."""
    return (picture[..., 1:] - picture[..., :-1]).abs().mean() + (picture[..., 1:, :] - picture[..., :-1, :]).abs().mean()
