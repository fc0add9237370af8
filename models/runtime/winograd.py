"""Convolutions 3x3 by Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, arXiv:1509.09308): 4 times fewer
multiplications. The same function as torch's up to rounding (about 1e-5 of the largest value)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

_INTO = torch.tensor([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
                      [0, 4, 0, -5, 0, 1.0]])
_OF_WEIGHT = torch.tensor([[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
                           [1 / 24, -1 / 12, 1 / 6], [0, 0, 1.0]])
_OUT = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1.0]])
_INTO, _OF_WEIGHT, _OUT = (torch.kron(matrix, matrix) for matrix in (_INTO, _OF_WEIGHT, _OUT))  # of both axes at once
_LEAST = 192  # channels from which on it pays: with fewer, the way into and out of the tiles costs more than is saved
_FEWEST = 32  # tiles, likewise: with fewer, the way of the weights into theirs


class _Winograd(torch.autograd.Function):
    """x (B,C,4h+2,4w+2), weight (O,C,3,3) -> (B,O,4h,4w). Transformed tiles are kept for the way back, transformed weights made
    again. Each channel is transformed by itself, so that it stays in the processor's cache."""

    @staticmethod
    @custom_fwd(device_type='cpu', cast_inputs=torch.float32)
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        (count, inner, height, width), out = x.shape, len(weight)
        h, w = (height - 2) // 4, (width - 2) // 4
        tiles = x.unfold(2, 6, 4).unfold(3, 6, 4).permute(1, 4, 5, 0, 2, 3).reshape(inner, 36, -1)
        tiles = _each(_INTO, tiles).transpose(0, 1)  # (36,C,B*h*w)
        ctx.save_for_backward(tiles, weight)
        ctx.shape = x.shape
        products = torch.bmm(_weights(weight), tiles).transpose(0, 1)  # (O,36,B*h*w)
        made = _each(_OUT, products).view(out, 4, 4, count, h, w)
        return made.permute(3, 0, 4, 1, 5, 2).reshape(count, out, 4 * h, 4 * w)

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type='cpu')
    def backward(ctx, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        tiles, weight = ctx.saved_tensors
        (count, inner, height, width), out = ctx.shape, len(weight)
        h, w = (height - 2) // 4, (width - 2) // 4
        parts = slope.reshape(count, out, h, 4, w, 4).permute(1, 3, 5, 0, 2, 4).reshape(out, 16, -1)
        products = _each(_OUT.t(), parts).transpose(0, 1)  # (36,O,B*h*w)
        of_x = of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = _OF_WEIGHT.t() @ torch.bmm(products, tiles.transpose(1, 2)).flatten(1)
            of_weight = of_weight.t().reshape(weight.shape)
        if ctx.needs_input_grad[0]:
            spread = _each(_INTO.t(), torch.bmm(_weights(weight).transpose(1, 2), products).transpose(0, 1))
            spread = spread.view(inner, 36, count, h * w).permute(2, 0, 1, 3).reshape(count, 36 * inner, h * w)
            of_x = F.fold(spread, (height, width), 6, stride=4)
        return of_x, of_weight


def _each(matrix: Tensor, tiles: Tensor) -> Tensor:
    """(N,M), (C,M,T) -> (C,N,T)."""
    return torch.bmm(matrix.expand(len(tiles), -1, -1), tiles)


def _weights(weight: Tensor) -> Tensor:
    """(O,C,3,3) -> (36,O,C), transformed."""
    return (_OF_WEIGHT @ weight.flatten(2).flatten(0, 1).t()).view(36, *weight.shape[:2])


class Conv3x3(nn.Conv2d):
    """nn.Conv2d 3x3 with stride 1. In training on a CPU, where it pays, Winograd's way: in float32 under autocast as well, since
    half precision would not carry its sums and saves less than it does."""

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and x.device.type == 'cpu' and self.weight.dtype == torch.float32
                and min(self.weight.shape[:2]) >= _LEAST):
            return super().forward(x)
        if self.padding != (0, 0):
            mode = 'constant' if self.padding_mode == 'zeros' else self.padding_mode
            x = F.pad(x, self._reversed_padding_repeated_twice, mode=mode)
        count, _, height, width = x.shape
        if height % 4 != 2 or width % 4 != 2 or count * (height // 4) * (width // 4) < _FEWEST:
            return F.conv2d(x, self.weight, self.bias)
        made = _Winograd.apply(x, self.weight)
        return made if self.bias is None else made + self.bias[:, None, None]
