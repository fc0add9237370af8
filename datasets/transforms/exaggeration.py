"""Exaggeration as augmentation: facial features are displaced away from the mean face, as in a caricature."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.geometry import Template

_KERNEL_SIGMA = 0.22  # fraction of the image height: standard deviation of the Gaussian kernel
_OFFSET_SIGMA = 0.03  # fraction of the image height: standard deviation of the random offsets without landmarks


def exaggerate_image(image: Tensor, points: Tensor | None, to: Template, amount: float, rng: np.random.Generator) -> Tensor:
    """An image with the eyes, the nose and the corners of the mouth displaced away from their positions in a template.

    image: (3,H,W) uint8, aligned to the template `to`. points: (5,2) landmarks in pixels; None uses random offsets. Each landmark
    moves by its offset from the template times a factor uniform in [0, amount). The displacement is interpolated by Gaussian
    radial basis functions; the border is replicated. Returns (3,H,W) uint8.
    """
    height, width = image.shape[-2:]
    mean = to.scaled(width, height).tensor(dtype=torch.float64)
    landmarks = mean if points is None else points.double()  # (5,2)
    offsets = torch.from_numpy(rng.normal(0, _OFFSET_SIGMA * height, (5, 2))) if points is None else landmarks - mean
    # Backward warp: the displacement field is defined at the output positions.
    moved = landmarks + amount * rng.random() * offsets
    sigma = _KERNEL_SIGMA * height
    weights = torch.linalg.lstsq(_kernel(moved, moved, sigma), landmarks - moved).solution  # (5,2)
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    pixels = torch.stack([xs, ys], -1).double().flatten(0, 1)  # (H*W,2)
    source = pixels + _kernel(pixels, moved, sigma) @ weights
    grid = (2 * source + 1) / torch.tensor([width, height]) - 1
    grid = grid.view(1, height, width, 2).float()
    warped = F.grid_sample(image[None].float(), grid, padding_mode='border', align_corners=False)
    return warped[0].round().clamp(0, 255).to(image.dtype)


def _kernel(first: Tensor, second: Tensor, sigma: float) -> Tensor:
    """Gaussian kernel matrix (N,M) of two sets of points (N,2) and (M,2)."""
    return torch.exp(-torch.cdist(first, second).square() / (2 * sigma ** 2))
