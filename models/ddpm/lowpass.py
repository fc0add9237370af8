"""The low-pass filter of ILVR: the antialiased cubic resizer of MATLAB, down and up again, as small matrices per axis."""
import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

_SHARE = 0.1  # least share of a coarse pixel on which its content is judged


def taps(length: int, scale: float, out: int) -> tuple[Tensor, Tensor]:
    """How a row of `length` pixels becomes one of `out`, `scale` times as long: for each output pixel the weights (K,out) float64
    and which input pixels they belong to (K,out) int64. Keys' cubic (1981, a = -1/2), stretched where the row shrinks; the border
    is mirrored, its pixel repeated."""
    stretch = min(scale, 1.0)
    width = 4 / stretch
    places = torch.arange(1, out + 1, dtype=torch.float64) - (out - length * scale) / 2
    center = places / scale + 0.5 * (1 - 1 / scale)  # (out,), the first input pixel at 1
    seen = torch.floor(center - width / 2) + torch.arange(math.ceil(width) + 2)[:, None]  # (K,out)
    weights = stretch * _cubic(stretch * (center - seen))
    weights = weights / weights.sum(0)
    used = (weights != 0).any(1)
    folded = (seen[used].long() - 1) % (2 * length)
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
    return tuple(matrix.to(device, dtype) for matrix in (down, up, torch.linalg.pinv(down)))


def _matrix(weights: Tensor, places: Tensor, length: int) -> Tensor:
    return torch.zeros(weights.shape[1], length, dtype=torch.float64).scatter_add_(1, places.T, weights.T)


def _apply(kind: int, images: Tensor, factor: float, sides: tuple[int, int]) -> Tensor:
    """One of the matrices that belong to images of (H,W) = sides, along both axes."""
    rows, columns = (_matrices(side, factor, images.dtype, images.device)[kind] for side in sides)
    return rows @ images @ columns.mT


def reduced(images: Tensor, factor: float) -> Tensor:
    """(B,C,H,W) -> (B,C,H/factor,W/factor), sides rounded up; any factor from 1."""
    return _apply(0, images, factor, images.shape[-2:])


def low_pass(images: Tensor, factor: float) -> Tensor:
    """Down by the factor and up again: phi_N of Choi et al. 2021, section 3.2. Same shape."""
    return _apply(1, reduced(images, factor), factor, images.shape[-2:])


def projected(images: Tensor, factor: float) -> Tensor:
    """The least image that is reduced to the same small one. phi_N is no projection: what x - phi_N(x) + phi_N(y) is reduced to
    differs from what y is; with this in the place of phi_N it does not. Same shape."""
    return _apply(2, reduced(images, factor), factor, images.shape[-2:])


def known(smooth: Callable[[Tensor, float], Tensor], images: Tensor, factor: float, mask: Tensor | None) -> Tensor:
    """low_pass or projected of what the mask (B,1,H,W) shows of images (B,C,H,W), 0 elsewhere: normalized convolution (Knutsson
    & Westin 1993, eq. 4), so that what is hidden has no say in the coarse content of what is seen."""
    if mask is None:
        return smooth(images, factor)
    return mask * smooth(mask * images, factor) / low_pass(mask, factor).clamp_min(_SHARE)
