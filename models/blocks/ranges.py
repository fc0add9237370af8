"""The ranges in which networks take their images, and the way there from the [-1,1] of the suite and back."""
from typing import Literal

from torch import Tensor

ValueRange = Literal['signed', 'unit', 'imagenet']  # [-1,1]; [0,1]; [0,1] minus ImageNet's mean, over its deviation
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _imagenet(like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation, (3,1,1) each."""
    return like.new_tensor(_MEAN)[:, None, None], like.new_tensor(_DEVIATION)[:, None, None]


def from_signed(image: Tensor, to: ValueRange) -> Tensor:
    """(B,3,H,W) in [-1,1] -> the same image in another range."""
    if to == 'signed':
        return image
    image = (image + 1) / 2
    if to == 'unit':
        return image
    mean, deviation = _imagenet(image)
    return (image - mean) / deviation


def to_signed(image: Tensor, of: ValueRange) -> Tensor:
    """(B,3,H,W) in a range -> the same image in [-1,1]."""
    if of == 'signed':
        return image
    if of == 'imagenet':
        mean, deviation = _imagenet(image)
        image = image * deviation + mean
    return image * 2 - 1
