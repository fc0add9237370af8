"""Anti-aliased resampling by 2 (Zhang 2019, arXiv:1904.11486)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _binomial_kernel(taps: tuple[float, ...], channels: int) -> Tensor:
    """Separable kernels of sum 1, one per channel: (C,1,n,n)."""
    row = torch.tensor(taps)
    square = row[:, None] * row
    return (square / square.sum()).repeat(channels, 1, 1, 1)


class BlurDown(nn.Module):
    """Blur by a 3x3 binomial kernel with reflected borders, then every second pixel: (B,C,H,W) -> (B,C,H/2,W/2)."""

    filt: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('filt', _binomial_kernel((1., 2., 1.), channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), 'reflect'), self.filt, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Zeros between the pixels, then a blur by a 4x4 binomial kernel with replicated borders: (B,C,H,W) -> (B,C,2H,2W)."""

    filt: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('filt', 4 * _binomial_kernel((1., 3., 3., 1.), channels))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), 'replicate')  # (B,C,H+2,W+2)
        return F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]
