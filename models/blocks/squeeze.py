"""Squeeze and excitation in space and channels."""
import torch
from torch import Tensor, nn


class _Channels(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        inner = max(width // 4, 8)
        self.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1),
                                nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.se(x)  # (B,C,1,1)


class _Places(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(x))  # (B,1,H,W)


class SCSE(nn.Module):
    """scSE (Roy et al. 2018, arXiv:1803.02579), its two parts added: (B,C,H,W) -> x * gate by channel + x * gate by place."""

    def __init__(self, width: int):
        super().__init__()
        self.cSE, self.sSE = _Channels(width), _Places(width)

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.cSE(x) + self.sSE(x))
