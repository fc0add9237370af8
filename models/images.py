"""Value ranges of images, conversion between uint8 and tensors, and ImageNet statistics.

Images of the suite are float32 RGB (B,3,H,W) in [-1,1].
"""
from typing import Literal

import numpy as np
import torch
from torch import Tensor

ValueRange = Literal['signed', 'unit', 'imagenet']  # [-1,1]; [0,1]; [0,1] minus IMAGENET_MEAN, over IMAGENET_STD
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF_RANGE = 127.5  # uint8 levels per unit of [-1,1]
SCALE_128 = 127.5 / 128  # factor from [-1,1] to (x - 127.5) / 128, the range of several published networks


def to_tensor(image: np.ndarray) -> Tensor:
    """Image (...,H,W,3) uint8 -> (...,3,H,W) float32 in [-1,1]."""
    return torch.from_numpy(image).movedim(-1, -3).float() / HALF_RANGE - 1


def to_uint8(image: Tensor) -> np.ndarray:
    """Image (...,3,H,W) in [-1,1] -> (...,H,W,3) uint8, rounded and clipped, on the CPU."""
    return ((image.detach().float() + 1) * HALF_RANGE).round().clamp(0, 255).byte().movedim(-3, -1).cpu().numpy()


def imagenet_statistics(like: Tensor) -> tuple[Tensor, Tensor]:
    """IMAGENET_MEAN and IMAGENET_STD as tensors (3,1,1) with the dtype and device of `like`."""
    return like.new_tensor(IMAGENET_MEAN)[:, None, None], like.new_tensor(IMAGENET_STD)[:, None, None]


def from_signed(image: Tensor, to: ValueRange) -> Tensor:
    """Convert (B,3,H,W) in [-1,1] to another range."""
    if to == 'signed':
        return image
    image = (image + 1) / 2
    if to == 'unit':
        return image
    mean, std = imagenet_statistics(image)
    return (image - mean) / std


def to_signed(image: Tensor, of: ValueRange) -> Tensor:
    """Convert (B,3,H,W) in the range `of` to [-1,1]."""
    if of == 'signed':
        return image
    if of == 'imagenet':
        mean, std = imagenet_statistics(image)
        image = image * std + mean
    return image * 2 - 1
