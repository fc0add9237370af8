"""Drawings without their sharp edges: what a discriminator is to tell from drawings (CartoonGAN, Chen et al. 2018, section
3.2)."""
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision

_TAPS = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


@full_precision
def blur_edges(images: Tensor, *, low: int = 100, high: int = 200) -> Tensor:
    """(B,3,H,W) in [-1,1] -> the same, blurred by 5x5 pixels wherever an edge is no more than 2 pixels away, without gradient.

    low, high: thresholds of Canny's detector on gray levels 0..255.
    """
    images = images.detach()
    levels = ((images + 1) * 127.5).round().clamp(0, 255).byte().movedim(1, -1).cpu().numpy()
    found = np.stack([cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), low, high) for image in levels])
    edges = torch.from_numpy(found)[:, None].to(images.device) > 0
    near = F.max_pool2d(edges.to(images.dtype), 5, 1, 2)  # (B,1,H,W)
    taps = _TAPS.to(images)
    kernel = torch.outer(taps, taps).expand(3, 1, 5, 5)
    blurred = F.conv2d(F.pad(images, (2, 2, 2, 2), mode='reflect'), kernel, groups=3)
    return torch.lerp(images, blurred, near)
