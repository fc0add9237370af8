"""Convolutions 3x3 by Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, arXiv:1509.09308): 4 times fewer
multiplications. The same function as torch's up to rounding (about 1e-5 of the largest value)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_INTO = torch.tensor([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
                      [0, 4, 0, -5, 0, 1.0]])
_OF_WEIGHT = torch.tensor([[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
                           [1 / 24, -1 / 12, 1 / 6], [0, 0, 1.0]])
_OUT = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1.0]])
_INTO, _OF_WEIGHT, _OUT = (torch.kron(matrix, matrix) for matrix in (_INTO, _OF_WEIGHT, _OUT))  # of both axes at once
_LEAST = 192  # channels from which on it pays: with fewer, the way into and out of the tiles costs more than is saved


class _Winograd(torch.autograd.Function):
    """x (B,C,4h+2,4w+2), weight (O,C,3,3) -> (B,O,4h,4w). What is small is kept for the way back, the rest made again."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        (count, _, height, width), out = x.shape, len(weight)
        products = torch.bmm(_weights(weight), _tiles(x))  # (36,O,B*h*w)
        made = (_OUT @ products.flatten(1)).view(4, 4, out, count, (height - 2) // 4, (width - 2) // 4)
        return made.permute(3, 2, 4, 0, 5, 1).reshape(count, out, height - 2, width - 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (count, inner, height, width), out = x.shape, len(weight)
        h, w = (height - 2) // 4, (width - 2) // 4
        parts = slope.reshape(count, out, h, 4, w, 4).permute(3, 5, 1, 0, 2, 4).reshape(16, -1)
        products = (_OUT.t() @ parts).view(36, out, -1)
        of_x = of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = _OF_WEIGHT.t() @ torch.bmm(products, _tiles(x).transpose(1, 2)).flatten(1)
            of_weight = of_weight.t().reshape(weight.shape)
        if ctx.needs_input_grad[0]:
            tiles = _INTO.t() @ torch.bmm(_weights(weight).transpose(1, 2), products).flatten(1)
            tiles = tiles.view(6, 6, inner, count, h, w).transpose(2, 3)
            of_x = torch.zeros_like(x)
            for row in range(6):
                for column in range(6):
                    of_x[:, :, row:row + 4 * h:4, column:column + 4 * w:4] += tiles[row, column]
        return of_x, of_weight


def _tiles(x: Tensor) -> Tensor:
    """(B,C,4h+2,4w+2) -> (36,C,B*h*w), transformed."""
    tiles = x.unfold(2, 6, 4).unfold(3, 6, 4).permute(4, 5, 1, 0, 2, 3)  # (6,6,C,B,h,w)
    return (_INTO @ tiles.reshape(36, -1)).view(36, x.shape[1], -1)


def _weights(weight: Tensor) -> Tensor:
    """(O,C,3,3) -> (36,O,C), transformed."""
    return (_OF_WEIGHT @ weight.flatten(2).flatten(0, 1).t()).view(36, *weight.shape[:2])


class Conv3x3(nn.Conv2d):
    """nn.Conv2d 3x3 with stride 1. In training on a CPU, where it pays, Winograd's way."""

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and x.device.type == 'cpu' and x.dtype == self.weight.dtype == torch.float32
                and min(self.weight.shape[:2]) >= _LEAST):
            return super().forward(x)
        if self.padding != (0, 0):
            mode = 'constant' if self.padding_mode == 'zeros' else self.padding_mode
            x = F.pad(x, self._reversed_padding_repeated_twice, mode=mode)
        if x.shape[2] % 4 != 2 or x.shape[3] % 4 != 2:
            return F.conv2d(x, self.weight, self.bias)
        made = _Winograd.apply(x, self.weight)
        return made if self.bias is None else made + self.bias[:, None, None]
