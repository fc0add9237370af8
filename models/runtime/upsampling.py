"""Twice the side by nearest neighbor and a convolution 3x3 upon it, as one: of the nine weights those that meet one pixel are
added beforehand, and four ninths of the multiplications are left (as sub-pixel kernels, Shi et al. 2016, arXiv:1609.05158)."""
import torch.nn.functional as F
from torch import Tensor, nn


class DoubledConv3x3(nn.Conv2d):
    """(B,C,H,W) -> (B,O,2H,2W): nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(C, O, 3), whose parameters it has;
    equal to them up to rounding."""

    def __init__(self, inner: int, outer: int, *, bias: bool = True):
        super().__init__(inner, outer, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        # A neighbor reflected after doubling is the pixel at the edge itself.
        return F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode='replicate'), self._spread(), self.bias, stride=2, padding=3)

    def _spread(self) -> Tensor:
        """(C,O,4,4): what a pixel adds to the 4x4 around it, from the weights (O,C,3,3)."""
        padded = F.pad(self.weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))
        rows = padded[:, :, :-1] + padded[:, :, 1:]
        return rows[..., :-1] + rows[..., 1:]
