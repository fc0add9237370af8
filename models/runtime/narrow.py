"""Convolutions that draw an image: many channels in, three or so out. PyTorch's leave most lanes of a processor empty there."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

_MOST = 4  # outputs up to which it pays


class _Narrow(torch.autograd.Function):
    """x (B,C,H,W), weight (O,C,k,k) -> (B,O,H-k+1,W-k+1). Every row of weights meets whole rows of x in one product with k*O
    rows, whose k parts are then added, each shifted by its own place."""

    @staticmethod
    @custom_fwd(device_type='cpu', cast_inputs=torch.float32)
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        (count, inner, height, width), (out, _, side, _) = x.shape, weight.shape
        high, wide = height - side + 1, width - side + 1
        rows, flat = weight.permute(2, 3, 0, 1).reshape(side, side * out, inner).expand(count, -1, -1, -1), x.flatten(2)
        sums = torch.zeros(count, side * out, high * width)
        for row in range(side):
            sums.baddbmm_(rows[:, row], flat[:, :, row * width:(row + high) * width])
        sums = sums.view(count, side, out, high, width)
        return torch.stack([sums[:, place, :, :, place:place + wide] for place in range(side)]).sum(0)

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type='cpu')
    def backward(ctx, slope: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        out, inner, side, _ = weight.shape
        around = F.unfold(slope, side, padding=side - 1)  # (B,O*k*k,H*W)
        turned = weight.flip(2, 3)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = (turned.transpose(0, 1).flatten(1) @ around).view_as(x)
        if ctx.needs_input_grad[1]:
            of_weight = (around @ x.flatten(2).transpose(1, 2)).sum(0).view(out, side, side, inner)
            of_weight = of_weight.flip(1, 2).permute(0, 3, 1, 2)
        return of_x, of_weight


class NarrowConv2d(nn.Conv2d):
    """nn.Conv2d with stride 1, padded with zeros or not at all. In training on a CPU, where it pays, as above: the same function
    up to rounding, in float32 under autocast as well."""

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and x.device.type == 'cpu' and self.weight.dtype == torch.float32
                and self.out_channels <= _MOST):
            return super().forward(x)
        made = _Narrow.apply(F.pad(x, self._reversed_padding_repeated_twice) if any(self.padding) else x, self.weight)
        return made if self.bias is None else made + self.bias[:, None, None]
