"""Conditional normalisation."""
import torch.nn.functional as F
from torch import Tensor, nn


class AdaIN(nn.Module):
    """Adaptive instance normalisation (Huang & Belongie 2017, eq. 8), its scale and shift drawn from a vector.

    x (B,C,H,W), style (B,S) -> (B,C,H,W) = (1 + scale) * (x - mean) / deviation + shift. Starts as a plain instance norm.
    """

    def __init__(self, width: int, style: int):
        super().__init__()
        self.affine = nn.Linear(style, 2 * width)
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, 1)  # (B,C,1,1) each
        return F.instance_norm(x) * (1 + scale) + shift
