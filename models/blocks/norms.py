"""Normalization layers beyond torch.nn: adaptive instance norms, layer norm of MUNIT, layer-instance norms of U-GAT-IT."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.precision import full_precision


@full_precision
def _var_mean(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Unbiased variance and mean over the axes, which are kept, in float32."""
    return torch.var_mean(x, axes, keepdim=True)


class AdaIN(nn.Module):
    """Adaptive instance normalization (Huang & Belongie 2017, arXiv:1703.06868, eq. 8) with a linear map from the style.

    x (B,C,H,W), style (B,S) -> (B,C,H,W) = (1 + scale) * instance_norm(x) + shift. The initial scale and shift are close to 0.

    Args:
        width: C.
        style: S.
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
    """F.instance_norm; under ONNX export in elementary operations, since its ONNX form needs a static number of channels."""
    if not torch.onnx.is_in_onnx_export():
        return F.instance_norm(x)
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


class AdaptiveInstanceNorm2d(nn.Module):
    """Instance norm with an external scale and shift (Huang & Belongie 2017, eq. 8): x (B,C,H,W), shift and scale (B,C,1,1).

    The running statistics are unused entries of MUNIT's published state dicts.
    """

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer('running_mean', torch.zeros(width))
        self.register_buffer('running_var', torch.ones(width))

    def forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return F.instance_norm(x) * scale + shift


class LayerNorm2d(nn.Module):
    """Layer norm of MUNIT over channels and positions, with a scale and shift per channel: (B,C,H,W) -> (B,C,H,W).

    Unlike nn.LayerNorm it divides by the unbiased standard deviation plus eps.
    """

    def __init__(self, width: int, eps: float = 1e-5):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(width)), nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = _var_mean(x, (1, 2, 3))  # (B,1,1,1) each
        scale = self.gamma[:, None, None] / (variance.sqrt() + self.eps)  # (B,C,1,1)
        return torch.addcmul((self.beta[:, None, None] - mean * scale).to(x.dtype), x, scale.to(x.dtype))


def layer_instance_norm(x: Tensor, rho: Tensor, scale: Tensor, shift: Tensor, eps: float = 1e-5) -> Tensor:
    """Layer-instance norm: (rho * IN(x) + (1 - rho) * LN(x)) * scale + shift (Kim et al. 2020, arXiv:1907.10830, eq. 1).

    Variances are unbiased. The statistics of the layer norm follow from those of the channels, and both norms together are one
    affine map of x, so that x is read twice and no other tensor of its size is stored.

    Args:
        x: (B,C,H,W).
        rho, scale, shift: (1 or B,C,1,1).
    """
    positions, channels = x.shape[2] * x.shape[3], x.shape[1]
    variance, mean = _var_mean(x, (2, 3))  # (B,C,1,1) each
    layer_mean = mean.mean(1, keepdim=True)  # (B,1,1,1)
    squares = (positions - 1) * variance + positions * (mean - layer_mean).square()
    inverse = (variance + eps).rsqrt()
    layer_inverse = (squares.sum(1, keepdim=True) / (positions * channels - 1) + eps).rsqrt()  # (B,1,1,1)
    gain = (rho * inverse + (1 - rho) * layer_inverse) * scale
    offset = shift - (rho * mean * inverse + (1 - rho) * layer_mean * layer_inverse) * scale
    return torch.addcmul(offset.to(x.dtype), x, gain.to(x.dtype))


class AdaLIN(nn.Module):
    """Adaptive layer-instance norm of U-GAT-IT: x (B,C,H,W), scale and shift (B,C) -> (B,C,H,W). rho is initialized to 0.9."""

    def __init__(self, width: int):
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, width, 1, 1), 0.9))

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, scale[:, :, None, None], shift[:, :, None, None])


class LIN(nn.Module):
    """Layer-instance norm of U-GAT-IT with learned scale and shift: (B,C,H,W) -> (B,C,H,W). rho is initialized to 0."""

    def __init__(self, width: int):
        super().__init__()
        self.rho = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gamma, self.beta = nn.Parameter(torch.ones(1, width, 1, 1)), nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, self.gamma, self.beta)
