"""Spectral normalization (Miyato et al. 2018): weights divided by an estimate of their largest singular value."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.precision import full_precision


class _Normalized(nn.Module):
    """A layer whose output is divided instead of its weights, which are far larger: W x / s is W / s x."""

    def begin(self, weight: nn.Parameter) -> None:
        """Take over the weights of the plain layer."""
        self.register_parameter('weight_orig', weight)
        for name, length in (('weight_u', len(weight)), ('weight_v', weight[0].numel())):
            self.register_buffer(name, F.normalize(torch.randn(length), dim=0))

    def largest(self) -> Tensor:
        """The largest singular value (scalar), after a power step in training; in float32 under autocast as well."""
        return self._power_step(self.weight_orig.flatten(1))

    @full_precision
    def _power_step(self, matrix: Tensor) -> Tensor:
        u, v = self.weight_u, self.weight_v
        if self.training:
            v.copy_(F.normalize(matrix.detach().t() @ u, dim=0))
        along = matrix @ v.clone()  # clones, as a later step must not change what the way back needs
        if self.training:
            u.copy_(F.normalize(along.detach(), dim=0))
        return torch.dot(u.clone(), along)

    @property
    def weight(self) -> Tensor:
        """The normalized weights, with a power step as in a forward."""
        return self.weight_orig / self.largest()


class SpectralConv2d(_Normalized, nn.Conv2d):
    """A convolution that `spectral` made."""

    def forward(self, x: Tensor) -> Tensor:
        y = self._conv_forward(x, self.weight_orig, None) / self.largest()
        return y if self.bias is None else y + self.bias[:, None, None]


class SpectralLinear(_Normalized, nn.Linear):
    """A linear layer that `spectral` made."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight_orig) / self.largest()
        return y if self.bias is None else y + self.bias


def spectral(module: nn.Conv2d | nn.Linear, on: bool = True) -> nn.Module:
    """The convolution or linear layer itself, spectrally normalized where `on`: one power step per forward in training, none in
    eval mode. Entries and values are those of torch.nn.utils.spectral_norm, PyTorch's older form, which the published files
    have."""
    if on:
        weight = module.weight
        del module.weight
        module.__class__ = {nn.Conv2d: SpectralConv2d, nn.Linear: SpectralLinear}[type(module)]
        module.begin(weight)
    return module


def unnormalised(module: nn.Module) -> Tensor:
    """The weights of a layer without spectral norm, whether it has one or not."""
    return module.weight_orig if isinstance(module, _Normalized) else module.weight


def learned(*modules: nn.Module) -> list[nn.Parameter]:
    """The parameters of the modules, without the vectors of SpectralEveryForward: what an optimizer is given."""
    return [parameter for module in modules for name, parameter in module.named_parameters()
            if not name.endswith(('weight_u', 'weight_v'))]


class SpectralEveryForward(nn.Module):
    """A convolution or linear layer whose largest singular value is estimated anew in every forward, in eval mode too, by one
    power step (v, then u): the wrapper of several published networks. Only in training the step stays, so that in eval mode a
    image does not depend on those before it.

    Entries, in this order: module.bias, module.weight_u, module.weight_v, module.NAME, where `name` is what the file calls the
    weight itself. The vectors are parameters that no gradient reaches.
    """

    def __init__(self, module: nn.Module, name: str = 'weight_bar'):
        super().__init__()
        weight = module.weight
        del module.weight
        u, v = torch.randn(len(weight)), torch.randn(weight[0].numel())
        module.weight_u = nn.Parameter(F.normalize(u, dim=0), requires_grad=False)
        module.weight_v = nn.Parameter(F.normalize(v, dim=0), requires_grad=False)
        module.register_parameter(name, weight)
        self.module, self.name = module, name

    def forward(self, x: Tensor) -> Tensor:
        weight = self.module.get_parameter(self.name)
        self.module.weight = weight / self._largest(weight.flatten(1))
        try:
            return self.module(x)
        finally:
            del self.module.weight  # so that the module can be copied

    @full_precision
    def _largest(self, matrix: Tensor) -> Tensor:
        """The largest singular value (scalar) after a power step, in float32 under autocast as well."""
        u, v = self.module.weight_u, self.module.weight_v
        with torch.no_grad():
            right = F.normalize(matrix.t() @ u, dim=0)
            left = F.normalize(matrix @ right, dim=0)
            if self.training:
                u.copy_(left)
                v.copy_(right)
        return left @ (matrix @ right)
