"""Concurrent spatial and channel squeeze and excitation (scSE; Roy et al. 2018, arXiv:1803.02579)."""
import torch
from torch import Tensor, nn


class _ChannelGate(nn.Module):
    """(B,C,H,W) -> (B,C,1,1) in (0,1)."""

    def __init__(self, width: int):
        super().__init__()
        inner = max(width // 4, 8)
        self.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1),
                                nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.se(x)


class _SpatialGate(nn.Module):
    """(B,C,H,W) -> (B,1,H,W) in (0,1)."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(x))


class SCSE(nn.Module):
    """scSE with both gates added: (B,C,H,W) -> (B,C,H,W), x * channel gate + x * spatial gate."""

    def __init__(self, width: int):
        super().__init__()
        self.cSE, self.sSE = _ChannelGate(width), _SpatialGate(width)

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.cSE(x) + self.sSE(x))
