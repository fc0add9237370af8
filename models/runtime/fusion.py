"""Copies of frozen networks with fewer and wider operations, equal to the originals up to rounding."""
import copy
from functools import reduce
from operator import add
from typing import TypeVar

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

MIN_WIDE_CHANNELS = 8  # channels from which on a product fills the lanes of a vector register
ModuleT = TypeVar('ModuleT', bound=nn.Module)


def fused(network: ModuleT) -> ModuleT:
    """A copy in eval mode whose batch norms are folded into the convolutions that are registered right before them."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        previous_name, previous = '', module
        for name, child in list(module.named_children()):
            if (isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d)
                    and previous.out_channels == child.num_features):
                setattr(module, previous_name, fuse_conv_bn_eval(previous, child))
                setattr(module, name, nn.Identity())
            previous_name, previous = name, child
    return network


class _RowConv2d(nn.Module):
    """An unpadded convolution as one convolution by all K rows of the kernel, with K times as many outputs, and a sum of shifts:
    (B,C,H,W) -> (B,O,H-K+1,W-K+1)."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        rows = rearrange(conv.weight, 'out inner row column -> (row out) inner 1 column')
        self.weight = nn.Parameter(rows, requires_grad=False)
        self.bias, self.rows = conv.bias, conv.kernel_size[0]

    def forward(self, x: Tensor) -> Tensor:
        parts = F.conv2d(x, self.weight).chunk(self.rows, 1)  # K maps (B,O,H,W-K+1)
        height = x.shape[2] - self.rows + 1
        total: Tensor = reduce(add, (part[:, :, row:row + height] for row, part in enumerate(parts)))
        return total if self.bias is None else total + self.bias[:, None, None]


def widened(network: ModuleT) -> ModuleT:
    """A copy in eval mode whose large kernels with few outputs, such as the last 7x7 one of a generator, are computed by rows."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        for name, conv in list(module.named_children()):
            if (isinstance(conv, nn.Conv2d) and conv.out_channels < MIN_WIDE_CHANNELS <= conv.in_channels
                    and conv.kernel_size[0] > 3
                    and (conv.stride, conv.padding, conv.dilation, conv.groups) == ((1, 1), (0, 0), (1, 1), 1)):
                setattr(module, name, _RowConv2d(conv))
    return network
