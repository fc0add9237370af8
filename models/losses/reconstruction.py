"""Distances of images (B,3,H,W)."""
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def reconstruction_l1(image: Tensor, reference: Tensor, selected: Tensor) -> Tensor:
    """Mean |image - reference| over the selected samples, (B,) bool (SimSwap, Chen et al. 2020, eq. 5). Scalar."""
    return _mean_of_selected((image - reference).abs(), selected)


@full_precision
def edges_l1(image: Tensor, reference: Tensor, selected: Tensor) -> Tensor:
    """Mean |Laplacian(image) - Laplacian(reference)| over the selected samples, (B,) bool. Scalar. It is the finest level of a
    Laplacian pyramid (Denton et al. 2015, section 2.2), which L1 of the images weighs little."""
    return _mean_of_selected((_laplacian(image) - _laplacian(reference)).abs(), selected)


@full_precision
def shading_l1(image: Tensor, reference: Tensor, face: Tensor, *, cells: int = 12) -> Tensor:
    """L1 of the mean colors in a grid of cells x cells, weighted by the fraction of the face (B,1,H,W), 1 = face, in each cell.
    Scalar. It depends on light and pose, not on detail."""
    coverage = F.adaptive_avg_pool2d(face, cells)  # (B,1,cells,cells)
    difference = F.adaptive_avg_pool2d((image - reference) * face, cells).abs().mean(1, keepdim=True)  # (B,1,cells,cells)
    return difference.sum() / coverage.sum().clamp_min(1)


@full_precision
def contrast_l1(image: Tensor, reference: Tensor, face: Tensor, *, window: int = 8) -> Tensor:
    """L1 of the local contrast over the face (B,1,H,W), 1 = face. Scalar. It depends on sharpness, not on the position of edges.

    The local contrast is the root mean square of the Laplacian of the lightness in windows that overlap by half.
    """
    def contrast(x: Tensor) -> Tensor:
        edges = _laplacian(x.mean(1, keepdim=True))  # (B,1,H-2,W-2)
        return (F.avg_pool2d(edges.square(), window, window // 2) + 1e-4).sqrt()  # (B,1,h,w)
    coverage = F.avg_pool2d(face[..., 1:-1, 1:-1], window, window // 2)  # (B,1,h,w)
    return ((contrast(image) - contrast(reference)).abs() * coverage).sum() / coverage.sum().clamp_min(1)


def _mean_of_selected(values: Tensor, selected: Tensor) -> Tensor:
    """Mean over the selected samples of values (B,...); 0, with a gradient, if none is selected."""
    weight = selected.to(values.dtype)
    return (values.flatten(1).mean(1) * weight).sum() / weight.sum().clamp_min(1)


def _laplacian(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,C,H-2,W-2)."""
    return 4 * x[..., 1:-1, 1:-1] - x[..., :-2, 1:-1] - x[..., 2:, 1:-1] - x[..., 1:-1, :-2] - x[..., 1:-1, 2:]
