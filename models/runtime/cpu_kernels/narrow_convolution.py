"""Convolutions to few output channels, such as the last layer of an image generator.

PyTorch's convolution kernels vectorize over output channels and leave most lanes of a vector register empty when there are three.
One thread, 7x7 from 64 to 3 channels at 256x256, torch 2.14, AVX-512: forward and backward 1.1 to 1.3 times as fast. Without
gradients the layer is nn.Conv2d.
"""
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.runtime.cpu_kernels.conditions import runs_on_cpu_in_float32

MAX_OUT_CHANNELS = 4  # with more, nn.Conv2d is as fast


class _NarrowConvolution(torch.autograd.Function):
    """x (B,C,H,W), weight (O,C,k,k) -> (B,O,H-k+1,W-k+1), stride 1, no padding.

    Each row of the kernel is one matrix product with k*O rows over whole rows of x. The k columns of that product are then added,
    each shifted by its position in the kernel.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        (count, _, height, width), (out, _, side, _) = x.shape, weight.shape
        out_height, out_width = height - side + 1, width - side + 1
        rows = rearrange(weight, 'out inner row column -> row (column out) inner').expand(count, -1, -1, -1)  # (B,k,k*O,C)
        flat = x.flatten(2)  # (B,C,H*W)
        sums = torch.zeros(count, side * out, out_height * width)
        for row in range(side):
            sums.baddbmm_(rows[:, row], flat[:, :, row * width:(row + out_height) * width])
        sums = sums.view(count, side, out, out_height, width)
        return torch.stack([sums[:, column, :, :, column:column + out_width] for column in range(side)]).sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        side = weight.shape[2]
        patches = F.unfold(gradient, side, padding=side - 1)  # (B,O*k*k,H*W)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = (weight.flip(2, 3).transpose(0, 1).flatten(1) @ patches).view_as(x)
        if ctx.needs_input_grad[1]:
            products = (patches @ rearrange(x, 'b c h w -> b (h w) c')).sum(0)
            grad_weight = rearrange(products, '(out row column) inner -> out inner row column', row=side, column=side).flip(2, 3)
        return grad_x, grad_weight


class NarrowConv2d(nn.Conv2d):
    """nn.Conv2d of stride 1 with zero padding or none and at most `MAX_OUT_CHANNELS` outputs.

    The backward pass cannot be differentiated again, as a gradient penalty would require.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and runs_on_cpu_in_float32(x)):
            return super().forward(x)
        padded = F.pad(x, self._reversed_padding_repeated_twice) if any(self.padding) else x
        y = _NarrowConvolution.apply(padded, self.weight)
        return y if self.bias is None else y + self.bias[:, None, None]
