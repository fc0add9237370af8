"""Image-to-image generators of CycleGAN, CUT and pix2pix."""
from collections.abc import Collection

import torch
from torch import Tensor, nn

from models.blocks.resnet import resnet


class ResNetGenerator(nn.Module):
    """The ResNet generator of CycleGAN and CUT: (B,3,H,W) -> (B,3,H,W) in [-1,1], H and W multiples of 4.

    The state dict has the published names `model.N...`.

    Args:
        width, blocks, dropout, antialias: see models.blocks.resnet.resnet.
    """

    def __init__(self, width: int = 64, blocks: int = 9, *, dropout: float = 0.0, antialias: bool = False):
        super().__init__()
        self.model = resnet(3, 3, width, blocks=blocks, dropout=dropout, antialias=antialias)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def maps(self, x: Tensor, layers: Collection[int], *, whole: bool = False) -> list[Tensor]:
        """Feature maps of single layers.

        Args:
            x: (B,3,H,W).
            layers: indices into the generator's layers.
            whole: run all layers and append the image. Otherwise layers after the last index are not computed.
        """
        last = len(self.model) - 1 if whole else max(layers)
        maps = []
        for index in range(last + 1):
            x = self.model[index](x)
            if index in layers:
                maps.append(x)
        return [*maps, x] if whole else maps

    def widths(self, layers: Collection[int]) -> list[int]:
        """Numbers of channels of the maps that `maps` returns for these layers."""
        widths, width = [], 3
        for index, layer in enumerate(self.model):
            width = getattr(layer, 'out_channels', width)
            if index in layers:
                widths.append(width)
        return widths


class _UNetLevel(nn.Module):
    """One level with the levels below it: (B,I,H,W) -> (B,2*I,H,W), the activated input concatenated with the decoded map."""

    def __init__(self, outer: int, inner: int, below: '_UNetLevel | None', norm: type[nn.Module], bias: bool, dropout: float):
        super().__init__()
        down = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1, bias=bias)]
        up = [nn.ReLU(), nn.ConvTranspose2d(inner if below is None else 2 * inner, outer, 4, 2, 1, bias=bias), norm(outer)]
        middle = [] if below is None else [norm(inner), below]
        self.model = nn.Sequential(*down, *middle, *up, *([nn.Dropout(dropout)] if dropout else []))

    def forward(self, x: Tensor) -> Tensor:
        activation, *rest = self.model
        y = x = activation(x)
        for layer in rest:
            y = layer(y)
        return torch.cat([x, y], 1)


class UNetGenerator(nn.Module):
    """The U-Net of pix2pix (Isola et al. 2017, arXiv:1611.07004, section 6.1.1): (B,inputs,H,W) -> (B,3,H,W) in [-1,1].

    The state dict has the published, nested names `model.model.N...`.

    Args:
        width: channels of the first layer.
        downs: halvings, at least 2; H and W are multiples of 2^downs. 8 make the published U-Net 256.
        inputs: channels of the input.
        norm: 'batch' or 'instance'.
        dropout: probability of dropout in the levels of full width around the innermost one.
    """

    def __init__(self, width: int = 64, downs: int = 8, *, inputs: int = 3, norm: str = 'batch', dropout: float = 0.5):
        super().__init__()
        bias, norm_layer = norm == 'instance', {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d}[norm]
        widths = [min(2 ** level, 8) * width for level in range(downs)]
        level = _UNetLevel(widths[-2], widths[-1], None, norm_layer, bias, 0.0)
        for index in range(downs - 2, 0, -1):
            outer, inner = widths[index - 1:index + 1]
            level = _UNetLevel(outer, inner, level, norm_layer, bias, dropout if outer == inner else 0.0)
        outermost = nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1, bias=bias), level, nn.ReLU(),
                                  nn.ConvTranspose2d(2 * width, 3, 4, 2, 1), nn.Tanh())
        self.model = nn.ModuleDict({'model': outermost})

    def forward(self, x: Tensor) -> Tensor:
        return self.model['model'](x)
