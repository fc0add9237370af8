"""Image metrics over all pixels or inside a mask.

Images are (B,3,H,W) in [-1,1], masks (B,1,H,W) in [0,1]. Metrics are (B,), NaN where the mask is empty.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.images import HALF_RANGE

LUMINANCE = (0.299, 0.587, 0.114)  # weights of R, G, B (ITU-R BT.601)
MAX_PSNR_DB = 100.0  # value for equal images, whose ratio is infinite
WINDOW_PX = 11  # side of the SSIM window
_WINDOW_SIGMA_PX = 1.5  # of its Gaussian weights


def luminance(images: Tensor) -> Tensor:
    """Images (B,3,H,W) -> (B,1,H,W) in the same range."""
    return (images * images.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of values (B,C,H,W) weighted by the mask: (B,)."""
    if mask is None:
        return values.flatten(1).mean(1)
    return (values * mask).flatten(1).sum(1) / (mask.flatten(1).sum(1) * values.shape[1])


def l1(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference as a fraction of the value range, in [0,1]: 0 for equal images, 1 for black against white."""
    return masked_mean((first - second).abs() / 2, mask)


def psnr(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in decibel, at most MAX_PSNR_DB; higher is better."""
    return (-10 * masked_mean(((first - second) / 2).square(), mask).log10()).clamp(max=MAX_PSNR_DB)


def ssim(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean structural similarity in [-1,1], higher is better. Windows are weighted by the mask at their center pixels."""
    return window_mean(ssim_map(first, second), mask)


def window_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of an ssim_map (B,C,H-10,W-10), weighted by a mask (B,1,H,W) of the whole image: (B,)."""
    edge = WINDOW_PX // 2
    return masked_mean(values, mask if mask is None else mask[..., edge:-edge, edge:-edge])


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13) of each Gaussian window of 11 pixels inside the image:
    (B,3,H-10,W-10). Raises ValueError for images smaller than a window."""
    if min(first.shape[-2:]) < WINDOW_PX:
        raise ValueError(f'SSIM needs images of at least {WINDOW_PX} x {WINDOW_PX} pixels, not {tuple(first.shape[-2:])}')
    rows, columns = (_windows(side).to(first) for side in first.shape[-2:])

    def mean(x: Tensor) -> Tensor:
        return rows @ x @ columns.t()

    a, b = mean(first), mean(second)
    var_a, var_b, covariance = mean(first * first) - a * a, mean(second * second) - b * b, mean(first * second) - a * b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    return (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (var_a + var_b + c2))


def _windows(side: int) -> Tensor:
    """Matrix (side-10,side) of the Gaussian window means; the product is faster than a convolution."""
    offset = torch.arange(WINDOW_PX, dtype=torch.float64) - WINDOW_PX // 2
    kernel = torch.exp(-offset.square() / (2 * _WINDOW_SIGMA_PX ** 2))
    matrix = torch.zeros(side - WINDOW_PX + 1, side, dtype=torch.float64)
    for row in range(len(matrix)):
        matrix[row, row:row + WINDOW_PX] = kernel / kernel.sum()
    return matrix


def sharpness(images: Tensor, mask: Tensor | None = None) -> Tensor:
    """Variance of the 4-neighbor Laplacian of the luminance in [0,255]; low for blurred images."""
    gray = luminance(images) * HALF_RANGE
    kernel = gray.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    edges = F.conv2d(F.pad(gray, [1] * 4, mode='reflect'), kernel)
    return masked_mean(edges.square(), mask) - masked_mean(edges, mask).square()


def diversity(samples: Tensor) -> Tensor:
    """Mean `l1` over all pairs of samples of one condition: (K,B,3,H,W), K samples of each of B conditions -> (B,) in [0,1].
    Raises ValueError for K below 2."""
    if len(samples) < 2:
        raise ValueError('diversity compares at least two samples of each condition')
    first, second = torch.triu_indices(len(samples), len(samples), 1)
    return torch.stack([l1(samples[i], samples[j]) for i, j in zip(first, second)]).mean(0)
