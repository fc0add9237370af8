"""Pre-activation residual blocks, and sequences of blocks with a condition."""
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.norms import AdaIN


class AdaINResidual(nn.Module):
    """Residual block with adaptive instance norms: x (B,I,H,W), style (B,S) -> (B,O,H,W).

    Args:
        width: I.
        out: O.
        style: S.
    """

    def __init__(self, width: int, out: int, style: int):
        super().__init__()
        self.norm1, self.norm2 = AdaIN(width, style), AdaIN(out, style)
        self.conv1, self.conv2 = nn.Conv2d(width, out, 3, 1, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.skip = nn.Conv2d(width, out, 1, bias=False) if width != out else nn.Identity()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x, style)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(y, style)))


class ConditionedBlocks(nn.ModuleList):
    """Blocks that take the same second input, such as a style (B,S), one after the other: x, condition -> x."""

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        for block in self:
            x = block(x, condition)
        return x


class Residual(nn.Module):
    """Residual block with group norms: (B,I,H,W) -> (B,O,H/stride,W/stride).

    Args:
        width: I.
        out: O.
        stride: 1 or 2.
        groups: of the norms.
    """

    def __init__(self, width: int, out: int, stride: int = 1, groups: int = 8):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, width), nn.GroupNorm(groups, out)
        self.conv1, self.conv2 = nn.Conv2d(width, out, 3, stride, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.skip = nn.Conv2d(width, out, 1, bias=False) if width != out else nn.Identity()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return self.skip(F.avg_pool2d(x, 2) if self.stride == 2 else x) + y
