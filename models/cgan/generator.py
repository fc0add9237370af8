"""Generator of the CGAN: encoder, identity injection blocks, decoder (SimSwap, Chen et al. 2020, figure 2).

Added to SimSwap's network: self-attention (SAGAN, Zhang et al. 2019), images folded into channels, a mapping network of the
embedding, a parsing map and a background image as conditions, skip connections, a predicted mask.
"""
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import Config, needing
from models.blocks.attention import SelfAttention
from models.blocks.background import BackgroundPath
from models.blocks.folding import folded, folded_channels, unfolding
from models.blocks.residual import ConditionedBlocks
from models.blocks.spectral import spectral
from models.images import ValueRange, from_signed, to_signed


def _norm(kind: str, width: int) -> nn.Module:
    if kind == 'batch':
        return nn.BatchNorm2d(width)
    return nn.InstanceNorm2d(width, affine=True) if kind == 'instance' else nn.GroupNorm(8, width)


class Modulation(nn.Module):
    """(1 + scale) * normalized x + shift, with scale and shift linear in the style (SimSwap eq. 2).

    injection: adain normalizes by instance (Huang & Belongie 2017, eq. 8), adagn by group (Dhariwal & Nichol 2021, section 3).
    """

    def __init__(self, width: int, style: int, injection: str):
        super().__init__()
        self.linear = nn.Linear(style, 2 * width)
        self.injection = injection

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x (B,C,H,W), style (B,S) -> (B,C,H,W)."""
        scale, shift = self.linear(style)[:, :, None, None].chunk(2, 1)  # (B,C,1,1) each
        x = F.instance_norm(x, eps=1e-8) if self.injection == 'adain' else F.group_norm(x, 8)
        return x * (scale + 1) + shift


class InjectionBlock(nn.Module):
    """Residual block with modulated convolutions, without an activation of the sum (SimSwap section 3.2)."""

    def __init__(self, width: int, style: int, config: 'GeneratorConfig'):
        super().__init__()
        self.conv1 = self._conv(width, config.spectral)
        self.style1 = Modulation(width, style, config.injection)
        self.conv2 = self._conv(width, config.spectral)
        self.style2 = Modulation(width, style, config.injection)

    @staticmethod
    def _conv(width: int, on: bool) -> nn.Sequential:
        return nn.Sequential(nn.ReflectionPad2d(1), spectral(nn.Conv2d(width, width, 3), on))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x (B,C,H,W), style (B,S) -> (B,C,H,W)."""
        y = F.relu(self.style1(self.conv1(x), style))
        return x + self.style2(self.conv2(y), style)


class Up(nn.ModuleList):
    """Bilinear upsampling by 2, concatenation of the skip connection, convolution, norm, ReLU."""

    def __init__(self, width: int, out: int, skip: int, config: 'GeneratorConfig'):
        super().__init__([nn.Upsample(scale_factor=2, mode='bilinear'),
                          spectral(nn.Conv2d(width + skip, out, 3, 1, 1), config.spectral), _norm(config.norm, out), nn.ReLU()])

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """x (B,I,h,w), skip (B,K,2h,2w) -> (B,O,2h,2w)."""
        upsample, conv, norm, act = self
        x = upsample(x)  # (B,I,2h,2w)
        return act(norm(conv(x if skip is None else torch.cat([x, skip], 1))))


class GeneratorConfig(Config):
    """The defaults are SimSwap's published network for 224 pixels."""

    size: int = Field(224, description='side of the images in pixels, a multiple of fold * 2^(len(widths) - 1)')
    fold: Literal[1, 2, 4, 8] = Field(1, description='power of 2 by which images are folded into channels, 1 for none')
    widths: tuple[int, ...] = Field((64, 128, 256, 512), description='channels at 1/fold, 1/(2 fold), ... of the size')
    first: Literal[0, 1] = Field(1, description='number of the finest level in the state dict')
    blocks: int = Field(9, description='injection blocks at the coarsest level')
    decoder_blocks: int = Field(0, description='injection blocks at each finer level of the decoder')
    id_dim: int = Field(512, description='length of the identity embedding')
    style: int = Field(0, description='width of the mapping network of the embedding, 0 for none')
    injection: Literal['adain', 'adagn'] = Field('adain', description='normalization of modulated maps: adain by instance, '
                                                                      'adagn by group')
    norm: Literal['batch', 'instance', 'group'] = Field('batch', description='normalization in encoder and decoder')
    value_range: ValueRange = Field('unit', description="value range of the network's images (models.images)")
    tanh: bool = Field(True, description='bound the output by tanh')
    attention: tuple[int, ...] = Field((), description='sides in pixels of the decoder maps, the coarsest included, with '
                                                       'self-attention')
    pooled: bool = Field(False, description='max-pool the keys and values of the self-attention')
    spectral: bool = Field(False, description='spectral norm of all convolutions but the first and the last')
    condition_channels: int = Field(0, description="channels of the target's parsing map, 0 for none")
    background_image: bool = Field(False, description='condition on the target without its face, and add it to the output')
    skips: Literal['none', 'background_image', 'target'] = Field(
        'none', description='skip connections of the decoder: none, maps of the background image, or, as in a U-Net, all encoder '
                            'maps, face included, which favors copying the target')
    skip_width: int = Field(32, description='channels of the maps of the background image')
    mask: bool = Field(False, description='predict a mask and blend the output with the target by it')

    def ignored(self) -> dict[str, str]:
        return {**needing('attention', self.attention, 'pooled'),
                **needing('skips=background_image', self.skips == 'background_image', 'skip_width')}

    @property
    def sides(self) -> list[int]:
        """Sides in pixels of the maps, finest first."""
        return [self.size // (self.fold * 2 ** level) for level in range(len(self.widths))]

    @property
    def cell_px(self) -> int:
        """Pixels per side of a position of the coarsest map."""
        return self.fold * 2 ** (len(self.widths) - 1)

    def check(self) -> None:
        """Raises ValueError if the fields contradict each other."""
        if len(self.widths) < 2 or self.size % self.cell_px or self.size < 2 * self.cell_px:
            raise ValueError(f'size {self.size} does not fit fold {self.fold} and {len(self.widths)} widths: take two widths or '
                             f'more and a size that is a multiple of {self.cell_px} and at least {2 * self.cell_px}')
        if unknown_sides := set(self.attention) - set(self.sides):
            raise ValueError(f'attention at {min(unknown_sides)} pixels is impossible: the maps of this generator have the sides '
                             f'{", ".join(map(str, self.sides))}')
        if (self.norm == 'group' or self.injection == 'adagn') and any(width % 8 for width in self.widths):
            raise ValueError(f'group norms need widths that are multiples of 8, not {self.widths}')
        if self.background_image and self.value_range != 'signed':
            raise ValueError(f'a background image needs images in [-1,1], where 0 adds nothing: set value_range to signed, not '
                             f'{self.value_range}')
        if self.tanh and self.value_range == 'imagenet':
            raise ValueError('tanh cannot bound images normalized by mean and deviation: set tanh to false, or value_range to '
                             'signed or unit')
        if self.skips == 'background_image' and not self.background_image:
            raise ValueError('skips=background_image needs background_image=true; set it, or set skips to none or target')


PUBLISHED = {
    # distributed checkpoints
    'simswap-224': GeneratorConfig(),
    'simswap-512': GeneratorConfig(size=512, widths=(32, 64, 128, 256, 512), first=0),
    # networks of the published training code
    'simswap-224-training': GeneratorConfig(value_range='imagenet', tanh=False),
    'simswap-512-training': GeneratorConfig(size=512, widths=(64, 128, 256, 512, 512), value_range='imagenet', tanh=False),
}


class Generator(nn.Module):
    """Renders targets with another identity. Raises ValueError if the config's fields contradict each other."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        config.check()
        self.config = config
        widths, levels = config.widths, len(config.widths) - 1
        style = config.style or config.id_dim
        in_channels, out_channels = folded_channels(config.condition_channels, config.fold), 4 if config.mask else 3
        kernel = 7 if config.fold == 1 else 3
        self.mapping = nn.Sequential(nn.Linear(config.id_dim, style), nn.SiLU(), nn.Linear(style, style), nn.SiLU()
                                     ) if config.style else None
        self.background = BackgroundPath(in_channels, config.skip_width, levels) if config.skips == 'background_image' else None
        self.first_layer = nn.Sequential(nn.ReflectionPad2d(kernel // 2), nn.Conv2d(in_channels, widths[0], kernel),
                                         _norm(config.norm, widths[0]), nn.ReLU())
        for level in range(levels):
            conv = spectral(nn.Conv2d(widths[level], widths[level + 1], 3, 2, 1), config.spectral)
            self.add_module(f'down{config.first + level}',
                            nn.Sequential(conv, _norm(config.norm, widths[level + 1]), nn.ReLU()))
        self.BottleNeck = ConditionedBlocks(InjectionBlock(widths[-1], style, config) for _ in range(config.blocks))
        for level in reversed(range(levels)):
            skip = {'none': 0, 'background_image': config.skip_width, 'target': widths[level]}[config.skips]
            self.add_module(f'up{config.first + level}', Up(widths[level + 1], widths[level], skip, config))
        self.injected = nn.ModuleList(
            ConditionedBlocks(InjectionBlock(width, style, config) for _ in range(config.decoder_blocks))
            for width in widths[:-1])
        self.attention = nn.ModuleDict({
            str(side): SelfAttention(widths[config.sides.index(side)], pooled=config.pooled,
                                     wrap=lambda conv: spectral(conv, config.spectral)) for side in config.attention})
        flat = nn.ReflectionPad2d(3), nn.Conv2d(widths[0], out_channels, 7)
        self.last_layer = nn.Sequential(*(flat if config.fold == 1 else unfolding(widths[0], config.fold, out_channels)))
        if config.mask:  # an initial mask of 0.88, so that training does not start from a copy of the target
            nn.init.constant_(self.last_layer[-1].get_parameter('bias')[3:], 2.0)

    def forward(self, target: Tensor, embedding: Tensor, *, parsing_onehot: Tensor | None = None,
                background_image: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """The swap (B,3,H,W) and, with `mask`, the mask (B,1,H,W) in [0,1], 1 = generated.

        target: (B,3,H,W) in the value range of the config, as the swap. embedding: (B,D) unit length. parsing_onehot:
        (B,condition_channels,H,W), background_image: (B,3,H,W); required if and only if the config has them, otherwise
        ValueError.
        """
        config = self.config
        if (parsing_onehot is None) != (config.condition_channels == 0) or (background_image is None) == config.background_image:
            raise ValueError(f'this generator takes {config.condition_channels or "no"} condition channels as parsing_onehot and '
                             f'{"a" if config.background_image else "no"} background image')
        style = embedding if self.mapping is None else self.mapping(embedding * config.id_dim ** 0.5)  # (B,S)
        maps = [self.first_layer(folded(target, parsing_onehot, config.fold))]  # (B,W0,H/fold,W/fold)
        for level in range(len(config.widths) - 1):
            maps.append(getattr(self, f'down{config.first + level}')(maps[level]))
        x = self._attended(self.BottleNeck(maps.pop(), style), -1)  # (B,Wn,h,w)
        if self.background is not None and background_image is not None:
            maps = self.background(folded(background_image, parsing_onehot, config.fold))
        for level in reversed(range(len(maps))):
            skip = None if config.skips == 'none' else maps[level]
            x = getattr(self, f'up{config.first + level}')(x, skip)  # (B,W_level,2h,2w)
            x = self._attended(self.injected[level](x, style), level)
        return self._composed(self.last_layer(x).to(target.dtype), target, background_image)

    def _attended(self, x: Tensor, level: int) -> Tensor:
        side = str(self.config.sides[level])
        return self.attention[side](x) if side in self.attention else x

    def _composed(self, output: Tensor, target: Tensor, background_image: Tensor | None) -> Tensor | tuple[Tensor, Tensor]:
        """Output of the last layer (B,3 or 4,H,W) -> return value of forward."""
        image, mask = output[:, :3], torch.sigmoid(output[:, 3:])
        if self.config.tanh:
            image = torch.tanh(image)
            image = (image + 1) / 2 if self.config.value_range == 'unit' else image
        if background_image is not None:
            image = image + background_image
        return (mask * image + (1 - mask) * target, mask) if self.config.mask else image

    def swap(self, target: Tensor, embedding: Tensor, *, parsing_onehot: Tensor | None = None,
             background_image: Tensor | None = None) -> Tensor:
        """`swap_and_mask` without the mask."""
        return self.swap_and_mask(target, embedding, parsing_onehot=parsing_onehot, background_image=background_image)[0]

    def swap_and_mask(self, target: Tensor, embedding: Tensor, *, parsing_onehot: Tensor | None = None,
                      background_image: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """`forward` for images in [-1,1], for any value range of the network; differentiable, not clamped. The mask is None if
        the network predicts none."""
        value_range = self.config.value_range
        output = self(from_signed(target, value_range), embedding, parsing_onehot=parsing_onehot,
                      background_image=background_image)
        image, mask = output if self.config.mask else (output, None)
        return to_signed(image, value_range), mask
