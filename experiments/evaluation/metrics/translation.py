"""Metrics of image translation: agreement of edges, distance of color histograms."""
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.evaluation.metrics.images import luminance

BINS = 64  # bins of a color histogram, per channel


def edges(images: Tensor) -> Tensor:
    """(B,3,H,W) in [-1,1] -> (B,1,H,W) magnitude of the Sobel gradient of the luminance."""
    gray = luminance(images)
    horizontal = gray.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    gradient = F.conv2d(F.pad(gray, [1] * 4, mode='replicate'), torch.stack([horizontal, horizontal.t()])[:, None])
    return gradient.square().sum(1, keepdim=True).sqrt()


def edge_agreement(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation in [-1,1] of the edge maps of two images: (B,3,H,W), (B,3,H,W) -> (B,). Higher is better."""
    a, b = (x - x.mean(1, keepdim=True) for x in (edges(first).flatten(1), edges(second).flatten(1)))
    return F.cosine_similarity(a, b, dim=1)


def color_histogram(images: Tensor) -> Tensor:
    """(B,3,H,W) in [-1,1] -> (B,3,BINS), frequencies that sum to 1 per channel; the mean over images is that of the set."""
    bins = ((images + 1) / 2 * BINS).long().clamp(0, BINS - 1).flatten(2)
    counts = torch.zeros(*bins.shape[:2], BINS, device=images.device)
    return counts.scatter_add_(2, bins, torch.ones_like(bins, dtype=counts.dtype)) / bins.shape[2]


def color_distance(first: Tensor, second: Tensor) -> float:
    """Mean over channels of the 1-Wasserstein distance of two histograms (3,BINS), as a fraction of the value range."""
    return float((first - second).cumsum(1).abs().sum(1).mean() / BINS)
