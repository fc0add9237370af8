"""Spectral normalisation (Miyato et al. 2018): weights divided by an estimate of their largest singular value."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def spectral(module: nn.Module, on: bool = True) -> nn.Module:
    """The convolution or linear layer itself, spectrally normalised where `on`: one power step per forward in training, none in
    eval mode. PyTorch's older form, whose entries `weight_orig, weight_u, weight_v` the published files have."""
    return nn.utils.spectral_norm(module) if on else module


def learnt(*modules: nn.Module) -> list[nn.Parameter]:
    """The parameters of the modules, without the vectors of SpectralEveryForward: what an optimiser is given."""
    return [parameter for module in modules for name, parameter in module.named_parameters()
            if not name.endswith(('weight_u', 'weight_v'))]


class SpectralEveryForward(nn.Module):
    """A convolution or linear layer whose largest singular value is estimated anew in every forward, in eval mode too, by one
    power step (v, then u): the wrapper of several published networks. Only in training the step stays, so that in eval mode a
    picture does not depend on those before it.

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
        matrix, u, v = weight.flatten(1), self.module.weight_u, self.module.weight_v
        with torch.no_grad():
            right = F.normalize(matrix.t() @ u, dim=0)
            left = F.normalize(matrix @ right, dim=0)
            if self.training:
                u.copy_(left)
                v.copy_(right)
        self.module.weight = weight / (left @ (matrix @ right))
        try:
            return self.module(x)
        finally:
            del self.module.weight  # so that the module can be copied
