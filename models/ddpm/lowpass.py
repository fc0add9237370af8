"""Low-pass filter of ILVR: MATLAB's antialiased cubic resizing, down and up, as a matrix per axis."""
import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

_MIN_COVERAGE = 0.1  # smallest divisor: fraction of a coarse pixel that the mask covers


def taps(length: int, scale: float, out: int) -> tuple[Tensor, Tensor]:
    """Resampling of a row of `length` pixels to `out` pixels, `scale` times as long: weights (K,out) float64 and their input
    pixels (K,out) int64. Keys' cubic kernel (1981, a = -1/2), widened for scales below 1; symmetric padding."""
    stretch = min(scale, 1.0)
    width = 4 / stretch
    positions = torch.arange(1, out + 1, dtype=torch.float64) - (out - length * scale) / 2
    center = positions / scale + 0.5 * (1 - 1 / scale)  # (out,), the first input pixel at 1
    pixels = torch.floor(center - width / 2) + torch.arange(math.ceil(width) + 2)[:, None]  # (K,out)
    weights = stretch * _cubic(stretch * (center - pixels))
    weights = weights / weights.sum(0)
    used = (weights != 0).any(1)
    folded = (pixels[used].long() - 1) % (2 * length)
    return weights[used], torch.minimum(folded, 2 * length - 1 - folded)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near, far = 1.5 * x ** 3 - 2.5 * x ** 2 + 1, -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))


@lru_cache(maxsize=512)
def _matrices(length: int, factor: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Down (h,length), up (length,h), and the pseudo-inverse (length,h) of down, for h = length / factor rounded up."""
    out = max(1, math.ceil(length / factor - 1e-9))
    down, up = (_matrix(*taps(*row), row[0]) for row in ((length, 1 / factor, out), (out, float(factor), length)))
    return down.to(device, dtype), up.to(device, dtype), torch.linalg.pinv(down).to(device, dtype)


def _matrix(weights: Tensor, pixels: Tensor, length: int) -> Tensor:
    return torch.zeros(weights.shape[1], length, dtype=torch.float64).scatter_add_(1, pixels.T, weights.T)


def _apply(kind: int, images: Tensor, factor: float, sides: Sequence[int]) -> Tensor:
    """Apply matrix `kind` of _matrices (0 down, 1 up, 2 pseudo-inverse) for images of (H,W) = sides along both axes."""
    rows, columns = (_matrices(side, factor, images.dtype, images.device)[kind] for side in sides)
    return rows @ images @ columns.mT


def reduced(images: Tensor, factor: float) -> Tensor:
    """Downsample (B,C,H,W) -> (B,C,H/factor,W/factor), sides rounded up; any factor from 1."""
    return _apply(0, images, factor, images.shape[-2:])


def low_pass(images: Tensor, factor: float) -> Tensor:
    """Downsample by the factor and upsample: phi_N of Choi et al. 2021, section 3.2. Same shape."""
    return _apply(1, reduced(images, factor), factor, images.shape[-2:])


def projected(images: Tensor, factor: float) -> Tensor:
    """Projection P = D^+ D of the downsampling D: the image of minimum norm with the same downsampling. Unlike phi_N, which is no
    projection, it satisfies D(x - P x + P y) = D y. Same shape."""
    return _apply(2, reduced(images, factor), factor, images.shape[-2:])


def masked(smooth: Callable[[Tensor, float], Tensor], images: Tensor, factor: float, mask: Tensor | None) -> Tensor:
    """Normalized convolution (Knutsson & Westin 1993, eq. 4): `smooth` (low_pass or projected) of images (B,C,H,W) inside the
    mask (B,1,H,W), independent of the pixels outside, where the result is 0."""
    if mask is None:
        return smooth(images, factor)
    return mask * smooth(mask * images, factor) / low_pass(mask, factor).clamp_min(_MIN_COVERAGE)
