"""Edge-smoothed drawings, the additional negatives of a discriminator (CartoonGAN, Chen et al. 2018, section 3.2)."""
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision

_TAPS = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16  # binomial kernel


@full_precision
def blur_edges(images: Tensor, *, low: int = 100, high: int = 200) -> Tensor:
    """Blur images by a 5x5 kernel at pixels that are at most 2 pixels from an edge.

    Args:
        images: (B,3,H,W) in [-1,1].
        low, high: thresholds of Canny's edge detector, for gray levels 0 to 255.

    Returns:
        (B,3,H,W) in [-1,1], without gradient.
    """
    images = images.detach()
    levels = ((images + 1) * 127.5).round().clamp(0, 255).byte().movedim(1, -1).cpu().numpy()  # (B,H,W,3)
    edges = np.stack([cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), low, high) for image in levels])  # (B,H,W)
    edge_mask = torch.from_numpy(edges)[:, None].to(images.device) > 0
    near_edge = F.max_pool2d(edge_mask.to(images.dtype), 5, 1, 2)  # (B,1,H,W)
    taps = _TAPS.to(images)
    kernel = torch.outer(taps, taps).expand(3, 1, 5, 5)
    blurred = F.conv2d(F.pad(images, (2, 2, 2, 2), mode='reflect'), kernel, groups=3)
    return torch.lerp(images, blurred, near_edge)
