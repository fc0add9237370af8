"""Exaggeration as augmentation: a face's features move away from the mean face, as a caricaturist moves them."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.geometry import Template

_REACH = 0.22  # of the image's height: how far around a feature its surroundings go along
_UNKNOWN = 0.03  # of the height: deviation of a feature from the mean face where its place is not known


def exaggerate_image(image: Tensor, points: Tensor | None, to: Template, amount: float, rng: np.random.Generator) -> Tensor:
    """(3,H,W) uint8 in the template `to` -> the same with eyes, nose and corners of the mouth moved away from their places in the
    template, by up to `amount` times their distance from there. points: (5,2) where they are; an image without them is given
    random distances. What lies between is carried along smoothly (Gaussian radial basis functions), and so is the border."""
    height, width = image.shape[-2:]
    mean = to.scaled(width, height).tensor(dtype=torch.float64)
    at = mean if points is None else points.double()
    away = torch.from_numpy(rng.normal(0, _UNKNOWN * height, (5, 2))) if points is None else at - mean
    # The landmarks arrive at `moved`; each pixel there asks where it came from.
    moved = at + amount * rng.random() * away
    reach = _REACH * height
    weights = torch.linalg.lstsq(_kernel(moved, moved, reach), at - moved).solution  # (5,2)
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    pixels = torch.stack([xs, ys], -1).double().flatten(0, 1)  # (H*W,2)
    source = pixels + _kernel(pixels, moved, reach) @ weights
    grid = (2 * source + 1) / torch.tensor([width, height]) - 1
    grid = grid.view(1, height, width, 2).float()
    seen = F.grid_sample(image[None].float(), grid, padding_mode='border', align_corners=False)
    return seen[0].round().clamp(0, 255).to(image.dtype)


def _kernel(first: Tensor, second: Tensor, reach: float) -> Tensor:
    return torch.exp(-torch.cdist(first, second).square() / (2 * reach ** 2))
