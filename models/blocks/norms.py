"""Normalisation whose statistics or whose scale and shift are not those of the common layers."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.precision import full_precision


@full_precision
def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Unbiased variance and mean over the axes, which are kept, in float32."""
    return torch.var_mean(x, axes, keepdim=True)


class AdaIN(nn.Module):
    """Adaptive instance normalization (Huang & Belongie 2017, eq. 8), its scale and shift drawn from a vector.

    x (B,C,H,W), style (B,S) -> (B,C,H,W) = (1 + scale) * (x - mean) / deviation + shift. Starts as a plain instance norm.
    """

    def __init__(self, width: int, style: int):
        super().__init__()
        self.affine = nn.Linear(style, 2 * width)
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, 1)  # (B,C,1,1) each
        return _instance_norm(x) * (1 + scale) + shift


def _instance_norm(x: Tensor) -> Tensor:
    """F.instance_norm, in so many words for ONNX, whose own form wants to know the channels where its tracer has lost them."""
    if not torch.onnx.is_in_onnx_export():
        return F.instance_norm(x)
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


class AdaptiveInstanceNorm2d(nn.Module):
    """Instance norm with a given scale and shift (Huang & Belongie 2017, eq. 8): x (B,C,H,W), shift and scale (B,C,1,1).

    The running statistics are entries of MUNIT's published files that nothing reads.
    """

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer('running_mean', torch.zeros(width))
        self.register_buffer('running_var', torch.ones(width))

    def forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return F.instance_norm(x) * scale + shift


class LayerNorm2d(nn.Module):
    """MUNIT's layer norm: every sample over channels and places by its unbiased deviation + eps, then scale and shift by channel.
    (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, width: int, eps: float = 1e-5):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(width)), nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = _moments(x, (1, 2, 3))
        scale = self.gamma[:, None, None] / (variance.sqrt() + self.eps)  # (B,C,1,1)
        return torch.addcmul((self.beta[:, None, None] - mean * scale).to(x.dtype), x, scale.to(x.dtype))


def layer_instance_norm(x: Tensor, rho: Tensor, scale: Tensor, shift: Tensor, eps: float = 1e-5) -> Tensor:
    """(rho * IN(x) + (1 - rho) * LN(x)) * scale + shift (U-GAT-IT, Kim et al. 2020, eq. 1), variances unbiased.

    x (B,C,H,W); rho, scale, shift (1 or B,C,1,1). The statistics of the whole sample follow from those of its channels, and both
    norms are one affine map of x, so that x is read twice and nothing of its size is kept besides.
    """
    places, channels = x.shape[2] * x.shape[3], x.shape[1]
    variance, mean = _moments(x, (2, 3))  # (B,C,1,1)
    whole = mean.mean(1, keepdim=True)
    spread = (places - 1) * variance + places * (mean - whole).square()
    inverse = (variance + eps).rsqrt()
    whole_inverse = (spread.sum(1, keepdim=True) / (places * channels - 1) + eps).rsqrt()  # (B,1,1,1)
    gain = (rho * inverse + (1 - rho) * whole_inverse) * scale
    offset = shift - (rho * mean * inverse + (1 - rho) * whole * whole_inverse) * scale
    return torch.addcmul(offset.to(x.dtype), x, gain.to(x.dtype))


class AdaLIN(nn.Module):
    """Adaptive layer-instance norm of U-GAT-IT: x (B,C,H,W), scale and shift (B,C) -> (B,C,H,W); rho starts at 0.9."""

    def __init__(self, width: int):
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, width, 1, 1), 0.9))

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, scale[:, :, None, None], shift[:, :, None, None])


class LIN(nn.Module):
    """Layer-instance norm of U-GAT-IT with a learned scale and shift: (B,C,H,W) -> (B,C,H,W); rho starts at 0."""

    def __init__(self, width: int):
        super().__init__()
        self.rho = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gamma, self.beta = nn.Parameter(torch.ones(1, width, 1, 1)), nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, self.gamma, self.beta)
