"""What a translation keeps of an image, and how near its colors come to the other domain's."""
import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 64  # of a histogram of colors


def edges(images: Tensor) -> Tensor:
    """(B,3,H,W) in [-1,1] -> (B,1,H,W) length of the Sobel gradient of the luminance."""
    gray = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    across = gray.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    gradient = F.conv2d(F.pad(gray, [1] * 4, mode='replicate'), torch.stack([across, across.t()])[:, None])
    return gradient.square().sum(1, keepdim=True).sqrt()


def edge_agreement(first: Tensor, second: Tensor) -> Tensor:
    """(B,) correlation of the edges of two images: 1 where they lie in the same places."""
    a, b = (x - x.mean(1, keepdim=True) for x in (edges(first).flatten(1), edges(second).flatten(1)))
    return F.cosine_similarity(a, b, dim=1)


def color_histogram(images: Tensor) -> Tensor:
    """(B,3,H,W) in [-1,1] -> (B,3,BINS), shares that sum to 1; the mean over images is that of a set."""
    bins = ((images + 1) / 2 * BINS).long().clamp(0, BINS - 1).flatten(2)
    counts = torch.zeros(*bins.shape[:2], BINS, device=images.device)
    return counts.scatter_add_(2, bins, torch.ones_like(bins, dtype=counts.dtype)) / bins.shape[2]


def color_distance(first: Tensor, second: Tensor) -> float:
    """Mean over red, green and blue of the Wasserstein distance of two histograms (3,BINS), in parts of the range."""
    return float((first - second).cumsum(1).abs().sum(1).mean() / BINS)
