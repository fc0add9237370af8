"""Published generators from image to image: CycleGAN's, CUT's and pix2pix's."""
from collections.abc import Collection

import torch
from torch import Tensor, nn

from models.blocks.resnet import resnet


class ResNetGenerator(nn.Module):
    """models.blocks.resnet.resnet under the published keys `model.N...`, of which single maps can be had."""

    def __init__(self, width: int = 64, blocks: int = 9, *, dropout: float = 0.0, antialias: bool = False):
        super().__init__()
        self.model = resnet(3, 3, width, blocks=blocks, dropout=dropout, antialias=antialias)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def maps(self, x: Tensor, layers: Collection[int], *, whole: bool = False) -> list[Tensor]:
        """What the layers with these numbers give, in their order, and after them the image where `whole`. Otherwise the layers
        after the last of these are not run."""
        last = len(self.model) - 1 if whole else max(layers)
        found = []
        for number in range(last + 1):
            x = self.model[number](x)
            if number in layers:
                found.append(x)
        return [*found, x] if whole else found

    def widths(self, layers: Collection[int]) -> list[int]:
        """The channels of these maps."""
        found, width = [], 3
        for number, layer in enumerate(self.model):
            width = getattr(layer, 'out_channels', width)
            if number in layers:
                found.append(width)
        return found


class _UNetLevel(nn.Module):
    """One level with all that lies below it: (B,I,H,W) -> (B,2*I,H,W), the input, activated, beside what comes back up."""

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
    """The U-Net of pix2pix (Isola et al. 2017, section 6.1.1): (B,inputs,H,W) -> (B,3,H,W) in [-1,1], H and W multiples of
    2^downs; 8 downs make the published U-Net 256, whose keys nest `model.model.N...`.

    norm: batch or instance. dropout: in the levels of full width around the innermost one, in training only.
    """

    def __init__(self, width: int = 64, downs: int = 8, *, inputs: int = 3, norm: str = 'batch', dropout: float = 0.5):
        super().__init__()
        bias, kind = norm == 'instance', {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d}[norm]
        widths = [min(2 ** level, 8) * width for level in range(downs)]
        level = None
        for index in range(downs - 1, 0, -1):
            outer, inner = widths[index - 1:index + 1]
            wide = outer == inner and level is not None
            level = _UNetLevel(outer, inner, level, kind, bias, dropout if wide else 0.0)
        outermost = nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1, bias=bias), level, nn.ReLU(),
                                  nn.ConvTranspose2d(2 * width, 3, 4, 2, 1), nn.Tanh())
        self.model = nn.ModuleDict({'model': outermost})

    def forward(self, x: Tensor) -> Tensor:
        return self.model['model'](x)
