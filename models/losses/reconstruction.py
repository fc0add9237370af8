"""Reconstruction where the answer is known: source and target show one person."""
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen samples of (B,...) values; 0, with gradient, where none is chosen."""
    weight = chosen.to(values.dtype)
    return (values.flatten(1).mean(1) * weight).sum() / weight.sum().clamp_min(1)


@full_precision
def reconstruction_l1(image: Tensor, answer: Tensor, chosen: Tensor) -> Tensor:
    """Mean |image - answer| of (B,3,H,W) over the samples where chosen (B,) is True."""
    return _mean_of((image - answer).abs(), chosen)


@full_precision
def shading_l1(image: Tensor, answer: Tensor, face: Tensor, *, cells: int = 12) -> Tensor:
    """L1 of the mean colors in a grid of cells x cells, weighted by the share of the face in each cell: light and pose of
    (B,3,H,W) images, blind to detail. face (B,1,H,W), 1 = face."""
    share = F.adaptive_avg_pool2d(face, cells)
    difference = F.adaptive_avg_pool2d((image - answer) * face, cells).abs().mean(1, keepdim=True)
    return difference.sum() / share.sum().clamp_min(1)


def _laplacian(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,C,H-2,W-2)."""
    return 4 * x[..., 1:-1, 1:-1] - x[..., :-2, 1:-1] - x[..., 2:, 1:-1] - x[..., 1:-1, :-2] - x[..., 1:-1, 2:]


@full_precision
def edges_l1(image: Tensor, answer: Tensor, chosen: Tensor) -> Tensor:
    """Mean |difference of the Laplacians| of (B,3,H,W) over the samples where chosen (B,) is True: the finest level of a
    Laplacian pyramid (Denton et al. 2015), which a plain L1 hardly weighs."""
    return _mean_of((_laplacian(image) - _laplacian(answer)).abs(), chosen)


@full_precision
def contrast_l1(image: Tensor, answer: Tensor, face: Tensor, *, window: int = 8) -> Tensor:
    """L1 of the local root mean square of the lightness's Laplacian, in windows that overlap by half, over face (B,1,H,W):
    images (B,3,H,W) are to be as crisp as the answer where it is crisp, whatever they show there."""
    def crispness(x: Tensor) -> Tensor:
        edges = _laplacian(x.mean(1, keepdim=True))
        return (F.avg_pool2d(edges.square(), window, window // 2) + 1e-4).sqrt()
    share = F.avg_pool2d(face[..., 1:-1, 1:-1], window, window // 2)
    return ((crispness(image) - crispness(answer)).abs() * share).sum() / share.sum().clamp_min(1)
