"""Networks of pix2pixHD (Wang et al. 2018, arXiv:1711.11585), image synthesis from label maps.

Parameters and outputs equal those of NVIDIA/pix2pixHD.
"""
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from models.blocks.resnet import PaddedResidual, resnet
from models.precision import full_precision


def _halved(x: Tensor) -> Tensor:
    """Average pooling: (B,C,H,W) -> (B,C,H/2,W/2)."""
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


class GlobalGenerator(nn.Module):
    """ResNet generator: (B,inputs,H,W) -> (B,3,H,W) in [-1,1], H and W multiples of 2^downs.

    Args:
        inputs: channels of the input.
        width: channels of the first layer.
        downs: halvings.
        blocks: residual blocks.
    """

    def __init__(self, inputs: int, width: int = 64, downs: int = 4, blocks: int = 9):
        super().__init__()
        self.model = resnet(inputs, 3, width, downs, blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class LocalEnhancer(nn.Module):
    """Local enhancer at full resolution around a global generator at half: (B,inputs,H,W) -> (B,3,H,W) in [-1,1].

    The last feature map of the global generator is added to that of the enhancer. H and W are multiples of 2^(downs + 1).

    Args:
        inputs: channels of the input.
        width: channels of the enhancer's first layer; the global generator has twice as many.
        downs, blocks: halvings and residual blocks of the global generator.
        local_blocks: residual blocks of the enhancer.
    """

    def __init__(self, inputs: int, width: int = 32, downs: int = 4, blocks: int = 9, local_blocks: int = 3):
        super().__init__()
        self.model = resnet(inputs, 3, 2 * width, downs, blocks)[:-3]
        self.model1_1 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), nn.InstanceNorm2d(width), nn.ReLU(),
                                      nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU())
        self.model1_2 = nn.Sequential(*(PaddedResidual(2 * width) for _ in range(local_blocks)),
                                      nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), nn.InstanceNorm2d(width), nn.ReLU(),
                                      nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor, fixed: bool = False) -> Tensor:
        """fixed: no gradient for the global generator."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fixed):
            global_map = self.model(_halved(x))
        return self.model1_2(self.model1_1(x) + global_map)


class FeatureEncoder(nn.Module):
    """Instance features of an image: (B,3,H,W) -> mean features of each region, H and W multiples of 2^downs."""

    def __init__(self, features: int = 3, width: int = 16, downs: int = 4):
        super().__init__()
        self.model = resnet(3, features, width, downs, 0)

    def forward(self, image: Tensor, regions: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """`region_means` of the encoded features, which are in [-1,1].

        Args:
            image: (B,3,H,W) in [-1,1].
            regions: (B,H,W) int64 below `count`.
        """
        return region_means(self.model(image), regions, count)


@full_precision
def region_means(values: Tensor, regions: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean of the values of each region, in float32, since float16 cannot count the pixels of a large region.

    Args:
        values: (B,F,H,W).
        regions: (B,H,W) int64 below `count`.

    Returns:
        Means (B,count,F), 0 for absent regions, and fractions of the image's area (B,count).
    """
    membership = F.one_hot(regions.flatten(1), count).to(values.dtype)  # (B,HW,count)
    pixels = membership.sum(1)  # (B,count)
    return (values.flatten(2) @ membership).transpose(1, 2) / pixels.clamp_min(1)[..., None], pixels / membership.shape[1]


def spread(features: Tensor, regions: Tensor) -> Tensor:
    """Assign to each pixel the features of its region: (B,count,C) and regions (B,H,W) int64 -> (B,C,H,W)."""
    index = regions.flatten(1)[..., None].expand(-1, -1, features.shape[2])  # (B,HW,C)
    return rearrange(features.gather(1, index), 'b (h w) c -> b c h w', h=regions.shape[1])


class PatchDiscriminators(nn.Module):
    """Patch discriminators at several scales: (B,inputs,H,W) -> feature maps of all layers per scale, finest first.

    The last map of a scale are the logits (B,1,h,w).

    Args:
        inputs: channels of image and condition.
        width: channels of the first layer.
        layers: halvings, and one more convolution.
        scales: number of discriminators.
    """

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
