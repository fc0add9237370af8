"""Spectral normalization (Miyato et al. 2018, arXiv:1802.05957): weights divided by an estimate of their largest singular value.

Two forms, for two layouts of published state dicts:

| form                 | entries                                                    | power step                   |
| -------------------- | ---------------------------------------------------------- | ---------------------------- |
| `spectral`           | bias, weight_orig, weight_u, weight_v                      | in training only             |
| SpectralEveryForward | module.bias, module.weight_u, module.weight_v, module.NAME | in every forward             |
"""
import torch
import torch.nn.functional as F
from torch import Tensor, library, nn

from models.precision import full_precision


@library.custom_op('face_swap_suite::power_step', mutates_args=('u', 'v'))
def power_step(matrix: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """One power step of a matrix (O,I) on the stored vectors u (O,) and v (I,), in place; returns copies of both.

    A custom operator, since compiled code would otherwise keep references to the stored vectors for the backward pass, and the
    next step changes these vectors.
    """
    right = F.normalize(matrix.t() @ u, dim=0)
    left = F.normalize(matrix @ right, dim=0)
    u.copy_(left)
    v.copy_(right)
    return left, right


@power_step.register_fake
def _power_step_shapes(matrix: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(u), torch.empty_like(v)


class SpectralLayer(nn.Module):
    """Base of the layers that divide their output by the largest singular value s of the weight: (W x) / s equals (W / s) x.

    In the wide layers of a discriminator the output has fewer elements than the weight, so that dividing it costs less. Entries
    of the state dict and values are those of torch.nn.utils.spectral_norm; unlike a layer with that hook, this one can be copied
    after a forward pass.

    Args:
        layer: the plain layer, whose parameters these are.
    """

    weight_orig: nn.Parameter
    weight_u: Tensor
    weight_v: Tensor
    bias: nn.Parameter | None

    def __init__(self, layer: nn.Conv2d | nn.Linear):
        super().__init__()
        weight = layer.get_parameter('weight')
        self.register_parameter('bias', None if layer.bias is None else layer.get_parameter('bias'))
        self.register_parameter('weight_orig', weight)
        for name, length in (('weight_u', len(weight)), ('weight_v', weight[0].numel())):
            self.register_buffer(name, F.normalize(torch.randn(length), dim=0))

    def largest_singular_value(self) -> Tensor:
        """Scalar, after a power step in training mode; in float32 under autocast as well."""
        return self._power_step(self.weight_orig.flatten(1))

    @full_precision
    def _power_step(self, matrix: Tensor) -> Tensor:
        u, v = self.weight_u, self.weight_v
        if self.training and torch.compiler.is_compiling():
            left, right = power_step(matrix.detach(), u, v)
            return torch.dot(left, matrix @ right)
        if self.training:
            v.copy_(F.normalize(matrix.detach().t() @ u, dim=0))
        product = matrix @ v.clone()  # clones: a later step must not change what the backward pass needs
        if self.training:
            u.copy_(F.normalize(product.detach(), dim=0))
        return torch.dot(u.clone(), product)

    @property
    def weight(self) -> Tensor:
        """The normalized weight (O, ...); in training mode after a power step."""
        return self.weight_orig / self.largest_singular_value()


class SpectralConv2d(SpectralLayer):
    """A spectrally normalized nn.Conv2d: (B,I,H,W) -> (B,O,H',W')."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__(conv)
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        self.padding, self.padding_mode, self._pad = conv.padding, conv.padding_mode, conv._reversed_padding_repeated_twice
        self.in_channels, self.out_channels, self.kernel_size = conv.in_channels, conv.out_channels, conv.kernel_size

    def forward(self, x: Tensor) -> Tensor:
        padding: str | int | tuple[int, ...] = self.padding
        if self.padding_mode != 'zeros':
            x, padding = F.pad(x, self._pad, mode=self.padding_mode), 0
        y = F.conv2d(x, self.weight_orig, None, self.stride, padding, self.dilation, self.groups) / self.largest_singular_value()
        return y if self.bias is None else y + self.bias[:, None, None]


class SpectralLinear(SpectralLayer):
    """A spectrally normalized nn.Linear: (..., I) -> (..., O)."""

    def __init__(self, linear: nn.Linear):
        super().__init__(linear)
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight_orig) / self.largest_singular_value()
        return y if self.bias is None else y + self.bias


def spectral(layer: nn.Conv2d | nn.Linear, on: bool = True) -> nn.Module:
    """A spectrally normalized layer with the parameters of `layer`, or `layer` itself if `on` is False.

    One power step per forward in training mode, none in eval mode.
    """
    if not on:
        return layer
    return SpectralConv2d(layer) if isinstance(layer, nn.Conv2d) else SpectralLinear(layer)


def unnormalized_weight(layer: nn.Linear | SpectralLayer) -> Tensor:
    """The weight of a layer before spectral normalization, whether the layer has one or not."""
    return layer.weight_orig if isinstance(layer, SpectralLayer) else layer.weight


def trainable_parameters(*modules: nn.Module) -> list[nn.Parameter]:
    """The parameters of the modules without the vectors of SpectralEveryForward, for an optimizer."""
    return [parameter for module in modules for name, parameter in module.named_parameters()
            if not name.endswith(('weight_u', 'weight_v'))]


class SpectralEveryForward(nn.Module):
    """A convolution or linear layer whose largest singular value is estimated in every forward, in eval mode as well.

    One power step, v before u, as in the wrapper of several published networks. The step is stored in training mode only, so that
    in eval mode an image does not depend on the images before it. The vectors u and v are parameters without gradient, as in the
    published state dicts.

    Args:
        module: the layer; its parameter `weight` is renamed.
        name: name of the weight in the state dict.
    """

    def __init__(self, module: nn.Module, name: str = 'weight_bar'):
        super().__init__()
        weight = module.get_parameter('weight')
        del module.weight
        u, v = torch.randn(len(weight)), torch.randn(weight[0].numel())
        module.weight_u = nn.Parameter(F.normalize(u, dim=0), requires_grad=False)
        module.weight_v = nn.Parameter(F.normalize(v, dim=0), requires_grad=False)
        module.register_parameter(name, weight)
        self.module, self.name = module, name

    def forward(self, x: Tensor) -> Tensor:
        weight = self.module.get_parameter(self.name)
        self.module.weight = weight / self._largest_singular_value(weight.flatten(1))
        try:
            return self.module(x)
        finally:
            del self.module.weight  # a module with a non-leaf tensor cannot be copied

    @full_precision
    def _largest_singular_value(self, matrix: Tensor) -> Tensor:
        """Scalar, after a power step; in float32 under autocast as well."""
        u, v = self.module.get_parameter('weight_u'), self.module.get_parameter('weight_v')
        if self.training and torch.compiler.is_compiling():
            left, right = power_step(matrix.detach(), u, v)
            return left @ (matrix @ right)
        with torch.no_grad():
            right = F.normalize(matrix.t() @ u, dim=0)
            left = F.normalize(matrix @ right, dim=0)
            if self.training:
                u.copy_(left)
                v.copy_(right)
        return left @ (matrix @ right)
