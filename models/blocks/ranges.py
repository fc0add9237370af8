"""Value ranges of the images that networks take, and conversions from and to the [-1,1] of the suite."""
from typing import Literal

from torch import Tensor

ValueRange = Literal['signed', 'unit', 'imagenet']  # [-1,1]; [0,1]; [0,1] normalized by ImageNet's mean and standard deviation
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _imagenet_statistics(like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation with the device and dtype of `like`: (3,1,1) each."""
    return like.new_tensor(IMAGENET_MEAN)[:, None, None], like.new_tensor(IMAGENET_STD)[:, None, None]


def from_signed(image: Tensor, to: ValueRange) -> Tensor:
    """Convert (B,3,H,W) in [-1,1] to another value range."""
    if to == 'signed':
        return image
    image = (image + 1) / 2
    if to == 'unit':
        return image
    mean, std = _imagenet_statistics(image)
    return (image - mean) / std


def to_signed(image: Tensor, of: ValueRange) -> Tensor:
    """Convert (B,3,H,W) in the value range `of` to [-1,1]."""
    if of == 'signed':
        return image
    if of == 'imagenet':
        mean, std = _imagenet_statistics(image)
        image = image * std + mean
    return image * 2 - 1
