"""Resampling with a blur, so that a shift of the image shifts the maps (Zhang 2019, arXiv:1904.11486)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _kernel(taps: tuple[float, ...], channels: int) -> Tensor:
    """(channels,1,n,n) of sum 1 each."""
    row = torch.tensor(taps)
    square = row[:, None] * row
    return (square / square.sum()).repeat(channels, 1, 1, 1)


class BlurDown(nn.Module):
    """(B,C,H,W) -> (B,C,H/2,W/2): every second value after a blur of 3x3, at mirrored borders."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('filt', _kernel((1., 2., 1.), channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), 'reflect'), self.filt, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """(B,C,H,W) -> (B,C,2H,2W): zeros between the values, then a blur of 4x4, at repeated borders."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer('filt', 4 * _kernel((1., 3., 3., 1.), channels))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), 'replicate')
        return F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]
