"""Discriminators of the CGAN: the published ones of SimSwap, and that of SAGAN.

Each takes images (B,3,H,W) in [-1,1] and returns a DiscriminatorOutput.
"""
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import Config, needing
from models.blocks.attention import SelfAttention
from models.blocks.folding import folded, folded_channels
from models.blocks.spectral import spectral
from models.images import ValueRange, from_signed
from models.perception.features.efficientnet import EfficientNetLite0


class DiscriminatorOutput(NamedTuple):
    """logits: one tensor per scale, positive = real. features: feature maps from fine to coarse, scale after scale. classes:
    (B,classes) logits of identities, or None without a class head."""

    logits: list[Tensor]
    features: list[Tensor]
    classes: Tensor | None


class Discriminator(nn.Module):
    """Base of the discriminators, with the class head of AC-GAN (Odena et al. 2017) if classes > 0. width: channels of the
    deepest map."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.head = nn.Linear(width, classes) if classes else None

    def trainable_parameters(self) -> list[nn.Parameter]:
        """The parameters that are not frozen."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def classify(self, deepest: Tensor) -> Tensor | None:
        """The deepest map (B,width,h,w) -> (B,classes)."""
        return None if self.head is None else self.head(deepest.mean((2, 3)))


class PatchDiscriminator(nn.Module):
    """One scale (Isola et al. 2017, section 3.2.2; as published by SimSwap)."""

    def __init__(self, config: 'PatchConfig'):
        super().__init__()
        widths = [config.width * 2 ** min(level, 3) for level in range(config.levels)]
        self.names = [*(f'down{level + 1}' for level in range(config.levels)), 'conv1']
        previous = 3
        for name, width in zip(self.names, [*widths, widths[-1]], strict=True):
            first = name == 'down1'
            conv = nn.Conv2d(previous, width, 4, 1 if name == 'conv1' else 2, 1)
            norm = [] if first or config.norm == 'none' else [
                nn.BatchNorm2d(width) if config.norm == 'batch' else nn.InstanceNorm2d(width, affine=True)]
            self.add_module(name, nn.Sequential(spectral(conv, config.spectral and not first), *norm, nn.LeakyReLU(0.2)))
            previous = width
        self.conv2 = nn.Sequential(nn.Conv2d(previous, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B,3,H,W) -> feature maps, the first `levels` of them at H/2, H/4, ..., and patch logits (B,1,h,w)."""
        maps = []
        for name in self.names:
            x = getattr(self, name)(x)
            maps.append(x)
        return maps, self.conv2(x)


class PatchConfig(Config):
    """Discriminators of patches at several scales."""

    kind: Literal['patch'] = 'patch'
    size: int = Field(224, description='side of the images in pixels')
    width: int = Field(64, description='channels of the finest level; coarser ones have up to eight times as many')
    levels: int = Field(4, ge=1, description='number of halvings of the side')
    scales: int = Field(2, ge=1, description='number of discriminators, each on half the side of the one before')
    norm: Literal['batch', 'instance', 'none'] = Field('batch', description='normalization after all convolutions but the first '
                                                                            'and the last')
    spectral: bool = Field(False, description='spectral norm of all convolutions but the first and the last')
    value_range: ValueRange = Field('unit', description="value range of the network's images (models.images)")
    classes: int = Field(0, description='identities of the class head, 0 for none')


class MultiScaleDiscriminator(Discriminator):
    """PatchDiscriminators, each on the average-pooled image of the one before (Wang et al. 2018, section 3.2). Raises
    ValueError if the size is too small for the scales."""

    def __init__(self, config: PatchConfig):
        super().__init__(config.width * 2 ** min(config.levels - 1, 3), config.classes)
        min_size_px = 3 * 2 ** (config.levels + config.scales - 1)
        if config.size < min_size_px:
            raise ValueError(f'{config.scales} scales of {config.levels} levels need images of at least {min_size_px} pixels, '
                             f'not {config.size}: use fewer scales or levels')
        self.value_range = config.value_range
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(config.scales))

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        image, outputs = from_signed(image, self.value_range), []
        for scale in self.scales:
            outputs.append(scale(image))
            image = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)  # (B,3,H/2,W/2)
        return DiscriminatorOutput([logits for _, logits in outputs], [value for maps, _ in outputs for value in maps],
                                   self.classify(outputs[0][0][-1]))


class Projector(nn.Module):
    """Frozen feature maps of a classification network, mixed across channels and scales by frozen random convolutions (Sauer et
    al. 2021, section 3.2). width: channels of the finest mixed map."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.pretrained = EfficientNetLite0()
        mixed = (width, 2 * width, 4 * width, 8 * width)
        self.scratch = nn.ModuleDict({f'layer{i}_ccm': nn.Conv2d(a, b, 1)
                                      for i, (a, b) in enumerate(zip(EfficientNetLite0.widths, mixed))})
        for i, out in reversed(list(enumerate((width, width, 2 * width, 4 * width)))):
            self.scratch[f'layer{i}_csm'] = nn.ModuleDict({'out_conv': nn.Conv2d(mixed[i], out, 1)})
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> 'Projector':
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B,3,H,W) -> the network's maps, and mixed ones at H/2, H/4, H/8 and H/16."""
        maps = self.pretrained(x)
        mixed: list[Tensor] = []
        y: Tensor | None = None
        for i in (3, 2, 1, 0):
            level = self.scratch[f'layer{i}_ccm'](maps[i])
            y = F.interpolate(level if y is None else y + level, scale_factor=2, mode='bilinear', align_corners=True)
            y = self.scratch.get_submodule(f'layer{i}_csm.out_conv')(y)
            mixed.insert(0, y)
        return maps, mixed


class _Halving(nn.Module):
    """Convolution of stride 2: (B,I,h,w) -> (B,O,h/2,w/2)."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.main = nn.Sequential(spectral(nn.Conv2d(width, out, 4, 2, 1)), nn.BatchNorm2d(out), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class _Mini(nn.Module):
    """Discriminator of one mixed map: (B,widths[0],h,w) -> deepest map (B,widths[-1],.,.) and logits (B,1,.,.)."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        self.main = nn.Sequential(*(_Halving(a, b) for a, b in zip(widths, widths[1:])),
                                  spectral(nn.Conv2d(widths[-1], 1, 4, bias=False)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        deepest = self.main[:-1](x)
        return deepest, self.main[-1](deepest)


class ProjectedConfig(Config):
    """Discriminators of the features of a frozen classification network."""

    kind: Literal['projected'] = 'projected'
    size: int = Field(224, description='side of the images in pixels')
    width: int = Field(64, ge=1, description='channels of the finest mixed map; the deepest ones have eight times as many')
    pretrained: bool = Field(True, description='load the published weights `efficientnet-lite0` of models.weights')
    value_range: ValueRange = Field('imagenet', description="value range of the network's images (models.images)")
    classes: int = Field(0, description='identities of the class head, 0 for none')


class ProjectedDiscriminator(Discriminator):
    """Four small discriminators of the maps of a frozen feature network (Projected GAN, Sauer et al. 2021, section 3; as
    published by SimSwap). Their logits are concatenated to (B,n). Gradients flow through the frozen network to the image;
    `discriminator` and the class head are trainable. The features of the output are the maps of the frozen network."""

    def __init__(self, config: ProjectedConfig):
        width = config.width
        super().__init__(8 * width, config.classes)
        if config.size < 128:
            raise ValueError(f'a projected discriminator needs images of at least 128 pixels, not {config.size}: '
                             'take kind sagan or patch')
        self.value_range = config.value_range
        self.feature_network = Projector(width)
        if config.pretrained:
            self.feature_network.pretrained.fill()
        self.discriminator = nn.ModuleDict({'mini_discs': nn.ModuleDict({
            str(i): _Mini(widths) for i, widths in enumerate((
                (width, width, 2 * width, 4 * width, 8 * width), (width, 2 * width, 4 * width, 8 * width),
                (2 * width, 4 * width, 8 * width), (4 * width, 8 * width)))})})

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        maps, mixed = self.feature_network(from_signed(image, self.value_range))
        outputs = [mini(x) for mini, x in zip(self.discriminator['mini_discs'].children(), mixed)]
        logits = torch.cat([patches.flatten(1) for _, patches in outputs], 1)  # (B,n)
        return DiscriminatorOutput([logits], maps, self.classify(outputs[-1][0]))


class _Down(nn.Module):
    """Residual block of SAGAN's discriminator: (B,I,H,W) -> (B,O,H/2,W/2)."""

    def __init__(self, width: int, out: int, on: bool):
        super().__init__()
        self.conv1 = spectral(nn.Conv2d(width, out, 3, 1, 1), on)
        self.conv2 = spectral(nn.Conv2d(out, out, 3, 1, 1), on)
        self.skip = spectral(nn.Conv2d(width, out, 1), on)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(F.relu(x))))  # (B,O,H,W)
        return F.avg_pool2d(y, 2) + self.skip(F.avg_pool2d(x, 2))


class SAGANConfig(Config):
    """Residual discriminator with self-attention."""

    kind: Literal['sagan'] = 'sagan'
    size: int = Field(128, description='side of the images in pixels, a multiple of fold * 2^(len(widths) - 1)')
    widths: tuple[int, ...] = Field((64, 128, 256, 512), description='channels at 1/fold, 1/(2 fold), ... of the size')
    fold: Literal[1, 2, 4, 8] = Field(1, description='power of 2 by which images are folded into channels, 1 for none')
    attention: tuple[int, ...] = Field((), description='sides in pixels of the maps with self-attention')
    pooled: bool = Field(True, description='max-pool the keys and values of the self-attention')
    spectral: bool = Field(True, description='spectral norm of all layers')
    classes: int = Field(0, description='identities of the class head, 0 for none')

    def ignored(self) -> dict[str, str]:
        return needing('attention', self.attention, 'pooled')


class SAGANDiscriminator(Discriminator):
    """Residual blocks with spectral norm and self-attention, one logit per image, (B,1) (Zhang et al. 2019; Miyato et al. 2018,
    figure 4). Raises ValueError if size, fold, widths and attention do not fit."""

    def __init__(self, config: SAGANConfig):
        super().__init__(config.widths[-1], config.classes)
        size = config.size
        cell_px = config.fold * 2 ** (len(config.widths) - 1)
        if size % cell_px:
            raise ValueError(f'size {size} does not fit fold {config.fold} and {len(config.widths)} widths of the discriminator: '
                             f'take a multiple of {cell_px}')
        sides = [size // (config.fold * 2 ** level) for level in range(len(config.widths))]
        if unknown_sides := set(config.attention) - set(sides):
            raise ValueError(f'attention at {min(unknown_sides)} pixels is impossible: the maps of this discriminator have the '
                             f'sides {", ".join(map(str, sides))}')
        self.fold = config.fold
        self.stem = spectral(nn.Conv2d(folded_channels(0, config.fold), config.widths[0], 3, 1, 1), config.spectral)
        self.down = nn.ModuleList(_Down(a, b, config.spectral) for a, b in zip(config.widths, config.widths[1:]))
        self.attention = nn.ModuleList(
            SelfAttention(width, pooled=config.pooled, wrap=lambda conv: spectral(conv, config.spectral))
            if side in config.attention else nn.Identity() for side, width in zip(sides, config.widths))
        self.out = spectral(nn.Linear(config.widths[-1], 1), config.spectral)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        features = [self.attention[0](self.stem(folded(image, None, self.fold)))]
        for block, attention in zip(self.down, self.attention[1:]):
            features.append(attention(block(features[-1])))
        deepest = F.relu(features[-1])
        return DiscriminatorOutput([self.out(deepest.sum((2, 3)))], features, self.classify(deepest))


DiscriminatorConfig = Annotated[PatchConfig | ProjectedConfig | SAGANConfig, Field(discriminator='kind')]


def build_discriminator(config: DiscriminatorConfig) -> Discriminator:
    """Build the discriminator of a config. Raises ValueError if the fields of the config contradict each other."""
    kinds = {'patch': MultiScaleDiscriminator, 'projected': ProjectedDiscriminator, 'sagan': SAGANDiscriminator}
    return kinds[config.kind](config)
