"""The generator: encoder, identity-injection blocks, decoder (SimSwap, Chen et al. 2020), with parts of SAGAN and of our own."""
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.base import Config, needing
from models.blocks.attention import SelfAttention
from models.blocks.background import BackgroundPath
from models.blocks.folding import folded, folded_channels, unfolding
from models.blocks.norms import InstanceNorm2d
from models.blocks.spectral import spectral
from models.images import ValueRange, from_signed, to_signed
from models.runtime.narrow import NarrowConv2d


class GeneratorConfig(Config):
    """The defaults are SimSwap's published network for 224 pixels.

    size: side of the images, a multiple of `cell`. fold: power of 2 by which images are folded into channels, 1 for not at
    all. widths: channels at 1/fold, 1/(2 fold), ... of the size. first: number that the finest level has in the state dict.
    blocks: injection blocks at the coarsest level; decoder_blocks: at each finer level of the decoder. identity: length of the
    identity vector; style: width of its mapping network, 0 for none. injection: adain modulates instance-normalized maps (Huang
    & Belongie 2017, eq. 8), video group-normalized ones (Perez et al. 2018, eq. 2). norm: of encoder and decoder.

    value_range: what forward takes and gives (models.images). tanh: whether the image is bounded by it.

    attention: sides in pixels of the maps of the decoder, the coarsest included, that get self-attention; pooled: in its pooled
    form. spectral: spectral norm of every convolution but those that see or draw the image.

    condition channels: condition channels that come with the target, such as its parsing. background image: the target without
    its face is given, and added to what is drawn; skips: what of the target the decoder sees at each resolution: nothing; its
    background image, by a path of `skip_width` channels; or, as in a U-Net, all that the encoder saw, face included, which
    invites the generator to copy it. mask: predict where the drawn face shows, and the target elsewhere.
    """

    size: int = 224
    fold: Literal[1, 2, 4, 8] = 1
    widths: tuple[int, ...] = (64, 128, 256, 512)
    first: Literal[0, 1] = 1
    blocks: int = 9
    decoder_blocks: int = 0
    id_dim: int = 512
    style: int = 0
    injection: Literal['adain', 'video'] = 'adain'
    norm: Literal['batch', 'instance', 'group'] = 'batch'
    value_range: ValueRange = 'unit'
    tanh: bool = True
    attention: tuple[int, ...] = ()
    pooled: bool = False
    spectral: bool = False
    condition_channels: int = 0
    background_image: bool = False
    skips: Literal['none', 'background_image', 'target'] = 'none'
    skip_width: int = 32
    mask: bool = False

    def ignored(self) -> dict[str, str]:
        return needing('attention', self.attention, 'pooled') | needing(
            'skips=background_image', self.skips == 'background_image', 'skip_width'
        )

    @property
    def sides(self) -> list[int]:
        """Sides in pixels of the maps, finest first."""
        return [self.size // (self.fold * 2 ** level) for level in range(len(self.widths))]

    @property
    def cell(self) -> int:
        """Side in pixels of what becomes one place of the coarsest map."""
        return self.fold * 2 ** (len(self.widths) - 1)

    def check(self) -> None:
        """ValueError, one sentence, where the fields contradict each other."""
        if len(self.widths) < 2 or self.size % self.cell or self.size < 2 * self.cell:
            raise ValueError(f'size {self.size} does not fit fold {self.fold} and {len(self.widths)} widths: take two widths or '
                             f'more and a size that is a multiple of {self.cell} and at least {2 * self.cell}')
        if strange := set(self.attention) - set(self.sides):
            raise ValueError(f'attention at {min(strange)} pixels is impossible: the maps of this generator have the sides '
                             f'{", ".join(map(str, self.sides))}')
        if (self.norm == 'group' or self.injection == 'video') and any(width % 8 for width in self.widths):
            raise ValueError(f'group norms want widths that are multiples of 8, not {self.widths}')
        if self.background_image and self.value_range != 'signed':
            raise ValueError(f'a background image wants images in [-1,1], where 0 adds nothing: set value_range to signed, not '
                             f'{self.value_range}')
        if self.tanh and self.value_range == 'imagenet':
            raise ValueError('tanh cannot bound images normalized by mean and deviation: set tanh to false, or value_range to '
                             'signed or unit')
        if self.skips == 'background_image' and not self.background_image:
            raise ValueError(
                'skips=background_image needs background_image=true; set it, or set skips to none or target'
            )


PUBLISHED = {
    # the two checkpoints that are distributed
    'simswap-224': GeneratorConfig(),
    'simswap-512': GeneratorConfig(size=512, widths=(32, 64, 128, 256, 512), first=0),
    # what the published training code makes
    'simswap-224-training': GeneratorConfig(value_range='imagenet', tanh=False),
    'simswap-512-training': GeneratorConfig(size=512, widths=(64, 128, 256, 512, 512), value_range='imagenet', tanh=False),
}


def _norm(kind: str, width: int) -> nn.Module:
    if kind == 'batch':
        return nn.BatchNorm2d(width)
    return InstanceNorm2d(width, affine=True) if kind == 'instance' else nn.GroupNorm(8, width)


class Modulation(nn.Module):
    """x (B,C,H,W), style (B,S) -> (1 + scale) * normalized x + shift, both drawn from the style (SimSwap eq. 2)."""

    def __init__(self, width: int, style: int, injection: str):
        super().__init__()
        self.linear = nn.Linear(style, 2 * width)
        self.injection = injection

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.linear(style)[:, :, None, None].chunk(2, 1)  # (B,C,1,1) each
        x = F.instance_norm(x, eps=1e-8) if self.injection == 'adain' else F.group_norm(x, 8)
        return x * (scale + 1) + shift


class InjectionBlock(nn.Module):
    """Residual block through which the identity enters: x (B,C,H,W), style (B,S) -> (B,C,H,W); nothing acts on the sum."""

    def __init__(self, width: int, style: int, config: GeneratorConfig):
        super().__init__()
        self.conv1 = self._conv(width, config.spectral)
        self.style1 = Modulation(width, style, config.injection)
        self.conv2 = self._conv(width, config.spectral)
        self.style2 = Modulation(width, style, config.injection)

    @staticmethod
    def _conv(width: int, on: bool) -> nn.Sequential:
        return nn.Sequential(nn.ReflectionPad2d(1), spectral(nn.Conv2d(width, width, 3), on))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = F.relu(self.style1(self.conv1(x), style))
        return x + self.style2(self.conv2(y), style)


class Up(nn.Sequential):
    """Twice the side, the skip connection beside it, convolution, norm, ReLU: x (B,I,h,w), skip (B,K,2h,2w) -> (B,O,2h,2w)."""

    def __init__(self, width: int, out: int, skip: int, config: GeneratorConfig):
        super().__init__(nn.Upsample(scale_factor=2, mode='bilinear'),
                         spectral(nn.Conv2d(width + skip, out, 3, 1, 1), config.spectral), _norm(config.norm, out), nn.ReLU())

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        enlarge, conv, norm, act = self
        x = enlarge(x)
        return act(norm(conv(x if skip is None else torch.cat([x, skip], 1))))


class Generator(nn.Module):
    """Puts an identity on a target. ValueError says what of the config is impossible."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        config.check()
        self.config = config
        widths, levels = config.widths, len(config.widths) - 1
        style = config.style or config.id_dim
        channels, drawn = folded_channels(config.condition_channels, config.fold), 4 if config.mask else 3
        kernel = 7 if config.fold == 1 else 3
        self.mapping = nn.Sequential(nn.Linear(config.id_dim, style), nn.SiLU(), nn.Linear(style, style), nn.SiLU()
                                     ) if config.style else None
        self.background = BackgroundPath(channels, config.skip_width, levels) if config.skips == 'background_image' else None
        self.first_layer = nn.Sequential(nn.ReflectionPad2d(kernel // 2), nn.Conv2d(channels, widths[0], kernel),
                                         _norm(config.norm, widths[0]), nn.ReLU())
        for level in range(levels):
            conv = spectral(nn.Conv2d(widths[level], widths[level + 1], 3, 2, 1), config.spectral)
            self.add_module(f'down{config.first + level}',
                            nn.Sequential(conv, _norm(config.norm, widths[level + 1]), nn.ReLU()))
        self.BottleNeck = nn.ModuleList(InjectionBlock(widths[-1], style, config) for _ in range(config.blocks))
        for level in reversed(range(levels)):
            skip = {'none': 0, 'background_image': config.skip_width, 'target': widths[level]}[config.skips]
            self.add_module(f'up{config.first + level}', Up(widths[level + 1], widths[level], skip, config))
        self.injected = nn.ModuleList(nn.ModuleList(InjectionBlock(width, style, config) for _ in range(config.decoder_blocks))
                                      for width in widths[:-1])
        self.attention = nn.ModuleDict({
            str(side): SelfAttention(widths[config.sides.index(side)], pooled=config.pooled,
                                     wrap=lambda conv: spectral(conv, config.spectral)) for side in config.attention})
        flat = nn.ReflectionPad2d(3), NarrowConv2d(widths[0], drawn, 7)
        self.last_layer = nn.Sequential(*(flat if config.fold == 1 else unfolding(widths[0], config.fold, drawn)))
        if config.mask:  # at first nearly everything is drawn, so that copying the target is not where learning starts
            nn.init.constant_(self.last_layer[-1].bias[3:], 2.0)

    def forward(self, target: Tensor, identity: Tensor, *, shape: Tensor | None = None,
                background_image: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """target (B,3,H,W) in the config's value range, identity (B,D) unit length; shape (B,condition channels,H,W) and
        background image (B,3,H,W) exactly where the config wants them. Returns the swap (B,3,H,W) in the same range; with `mask`
        also the mask (B,1,H,W) in [0,1], 1 = drawn."""
        config = self.config
        if (shape is None) != (config.condition_channels == 0) or (background_image is None) == config.background_image:
            raise ValueError(f'this generator wants {config.condition_channels or "no"} condition channels as shape and '
                             f'{"a" if config.background_image else "no"} background image')
        style = identity if self.mapping is None else self.mapping(identity * config.id_dim ** 0.5)
        maps = [self.first_layer(folded(target, shape, config.fold))]
        for level in range(len(config.widths) - 1):
            maps.append(getattr(self, f'down{config.first + level}')(maps[level]))
        x = maps.pop()
        for block in self.BottleNeck:
            x = block(x, style)
        x = self._attended(x, -1)
        if config.skips != 'target':
            maps = (
                [None] * len(maps) if self.background is None else self.background(folded(background_image, shape, config.fold))
            )
        for level in reversed(range(len(maps))):
            x = getattr(self, f'up{config.first + level}')(x, maps[level])
            for block in self.injected[level]:
                x = block(x, style)
            x = self._attended(x, level)
        return self._finished(self.last_layer(x).to(target.dtype), target, background_image)

    def _attended(self, x: Tensor, level: int) -> Tensor:
        side = str(self.config.sides[level])
        return self.attention[side](x) if side in self.attention else x

    def _finished(self, drawn: Tensor, target: Tensor, background_image: Tensor | None) -> Tensor | tuple[Tensor, Tensor]:
        """What the last layer gave (B,3 or 4,H,W) -> what forward returns."""
        image, mask = drawn[:, :3], torch.sigmoid(drawn[:, 3:])
        if self.config.tanh:
            image = torch.tanh(image)
            image = (image + 1) / 2 if self.config.value_range == 'unit' else image
        if background_image is not None:
            image = image + background_image
        return (mask * image + (1 - mask) * target, mask) if self.config.mask else image

    def swap(self, target: Tensor, identity: Tensor, *, shape: Tensor | None = None,
             background_image: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """forward for images in [-1,1], whatever the network's own range; gradients flow and nothing is clamped."""
        own = self.config.value_range
        made = self(from_signed(target, own), identity, shape=shape, background_image=background_image)
        return (to_signed(made[0], own), made[1]) if self.config.mask else to_signed(made, own)
