"""Reconstruction where the answer is known: source and target show one person."""
import torch.nn.functional as F
from torch import Tensor


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen samples of (B,...) values; 0, with gradient, where none is chosen."""
    weight = chosen.to(values.dtype)
    return (values.flatten(1).mean(1) * weight).sum() / weight.sum().clamp_min(1)


def reconstruction_l1(picture: Tensor, answer: Tensor, chosen: Tensor) -> Tensor:
    """Mean |picture - answer| of (B,3,H,W) over the samples where chosen (B,) is True."""
    return _mean_of((picture - answer).abs(), chosen)


def shading_l1(picture: Tensor, answer: Tensor, face: Tensor, *, cells: int = 8) -> Tensor:
    """L1 of the mean colours in a grid of cells x cells, weighted by the share of the face in each cell: light and pose of
    (B,3,H,W) pictures, blind to detail. face (B,1,H,W), 1 = face."""
    share = F.adaptive_avg_pool2d(face, cells)
    difference = F.adaptive_avg_pool2d((picture - answer) * face, cells).abs().mean(1, keepdim=True)
    return difference.sum() / share.sum().clamp_min(1)
