"""Images from label maps: the networks of pix2pixHD (Wang et al. 2018, arXiv:1711.11585), their names and values equal to
NVIDIA/pix2pixHD."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks.resnet import PaddedResidual, resnet
from models.precision import full_precision


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


class GlobalGenerator(nn.Module):
    """(B,inputs,H,W) -> (B,3,H,W) in [-1,1]; H and W multiples of 2^downs."""

    def __init__(self, inputs: int, width: int = 64, downs: int = 4, blocks: int = 9):
        super().__init__()
        self.model = resnet(inputs, 3, width, downs, blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class LocalEnhancer(nn.Module):
    """A global generator of twice the width on the halved input, whose last map joins that of a small generator at full
    resolution: (B,inputs,H,W) -> (B,3,H,W) in [-1,1]; H and W multiples of 2^(downs + 1)."""

    def __init__(self, inputs: int, width: int = 32, downs: int = 4, blocks: int = 9, local_blocks: int = 3):
        super().__init__()
        self.model = resnet(inputs, 3, 2 * width, downs, blocks)[:-3]
        self.model1_1 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), nn.InstanceNorm2d(width), nn.ReLU(),
                                      nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU())
        self.model1_2 = nn.Sequential(*(PaddedResidual(2 * width) for _ in range(local_blocks)),
                                      nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), nn.InstanceNorm2d(width), nn.ReLU(),
                                      nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor, fixed: bool = False) -> Tensor:
        """fixed: the global generator does not learn."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fixed):
            whole = self.model(_halved(x))
        return self.model1_2(self.model1_1(x) + whole)


class FeatureEncoder(nn.Module):
    """What an image adds to its label map: (B,3,H,W) -> (B,features,H,W) in [-1,1], H and W multiples of 2^downs."""

    def __init__(self, features: int = 3, width: int = 16, downs: int = 4):
        super().__init__()
        self.model = resnet(3, features, width, downs, 0)

    def forward(self, image: Tensor, regions: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """regions (B,H,W) int64 below count -> mean features of each region (B,count,features), 0 of absent ones, and the share
        of the image that it takes (B,count)."""
        return region_means(self.model(image), regions, count)


@full_precision
def region_means(values: Tensor, regions: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Values (B,F,H,W) and regions (B,H,W) int64 below count -> the mean of each region (B,count,F), 0 of absent ones, and the
    share of the image that it takes (B,count). In float32: a region of 512x512 pixels holds more than float16 can count."""
    belongs = F.one_hot(regions.flatten(1), count).to(values.dtype)  # (B,HW,count)
    pixels = belongs.sum(1)  # (B,count)
    return (values.flatten(2) @ belongs).transpose(1, 2) / pixels.clamp_min(1)[..., None], pixels / belongs.shape[1]


def spread(features: Tensor, regions: Tensor) -> Tensor:
    """Features of regions (B,count,C) -> (B,C,H,W), to each pixel that of its region in (B,H,W)."""
    places = regions.flatten(1)[..., None].expand(-1, -1, features.shape[2])  # (B,HW,C)
    return features.gather(1, places).transpose(1, 2).unflatten(2, regions.shape[1:])


class PatchDiscriminators(nn.Module):
    """Patch discriminators on image and condition at several scales: (B,inputs,H,W) -> per scale, finest first, the maps of all
    layers, whose last are the logits (B,1,.,.)."""

    def __init__(self, inputs: int, width: int = 64, layers: int = 3, scales: int = 2):
        super().__init__()
        self.layers, self.scales = layers, scales
        widths = [min(512, width << i) for i in range(layers + 1)]
        for scale in range(scales):
            self._add(scale, 0, nn.Conv2d(inputs, widths[0], 4, 2, 2), nn.LeakyReLU(0.2))
            for layer in range(1, layers + 1):
                conv = nn.Conv2d(widths[layer - 1], widths[layer], 4, 2 if layer < layers else 1, 2)
                self._add(scale, layer, conv, nn.InstanceNorm2d(widths[layer]), nn.LeakyReLU(0.2))
            self._add(scale, layers + 1, nn.Conv2d(widths[-1], 1, 4, 1, 2))

    def _add(self, scale: int, layer: int, *modules: nn.Module) -> None:
        self.add_module(f'scale{scale}_layer{layer}', nn.Sequential(*modules))

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        scales = []
        for scale in reversed(range(self.scales)):
            maps = []
            y = x
            for layer in range(self.layers + 2):
                y = self.get_submodule(f'scale{scale}_layer{layer}')(y)
                maps.append(y)
            scales.append(maps)
            x = _halved(x)
        return scales
