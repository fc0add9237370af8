"""Content and style encoders, decoder and discriminator of MUNIT (Huang et al. 2018, arXiv:1804.04732) and of SATNet.

Parameters and outputs equal those of NVlabs/MUNIT and yujiachen-y/experiments_on_face_photo2drawing.
"""
from collections.abc import Callable

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from models.blocks.attention import SelfAttention
from models.blocks.norms import AdaptiveInstanceNorm2d, LayerNorm2d
from models.blocks.spectral import SpectralEveryForward

_NORMS: dict[str, Callable[[int], nn.Module]] = {
    'none': nn.Identity, 'instance': nn.InstanceNorm2d, 'layer': LayerNorm2d, 'adaptive': AdaptiveInstanceNorm2d}
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    'none': nn.Identity, 'relu': nn.ReLU, 'leaky': lambda: nn.LeakyReLU(0.2), 'tanh': nn.Tanh}


def _attention(width: int) -> SelfAttention:
    return SelfAttention(width, wrap=SpectralEveryForward, gamma=1e-8, names=('f_conv', 'g_conv', 'k_conv'))


class Block(nn.Module):
    """Reflect-padded convolution, norm and activation: (B,I,H,W) -> (B,O,H',W').

    Args:
        width, out, kernel, stride, padding: of the convolution.
        norm: 'none', 'instance', 'layer' or 'adaptive'.
        activation: 'none', 'relu', 'leaky' or 'tanh'.
        sn: spectral normalization of the convolution.
    """

    def __init__(self, width: int, out: int, kernel: int, stride: int, padding: int, *, norm: str = 'none',
                 activation: str = 'relu', sn: bool = False):
        super().__init__()
        self.norm = _NORMS[norm](out)
        conv = nn.Conv2d(width, out, kernel, stride)
        self.conv = SpectralEveryForward(conv) if sn else conv
        self.padding, self.activation = [padding] * 4, _ACTIVATIONS[activation]()

    def forward(self, x: Tensor, style: tuple[Tensor, ...] = ()) -> Tensor:
        """style: shift and scale (B,O,1,1) of an adaptive norm."""
        return self.activation(self.norm(self.conv(F.pad(x, self.padding, mode='reflect')), *style))


class ResidualPair(nn.Module):
    """Residual block of two 3x3 blocks, the second without activation: (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, width: int, norm: str):
        super().__init__()
        self.model = nn.Sequential(*(Block(width, width, 3, 1, 1, norm=norm, activation=activation)
                                     for activation in ('relu', 'none')))

    def forward(self, x: Tensor, styles: tuple[tuple[Tensor, ...], ...] = ((), ())) -> Tensor:
        return x + self.model[1](self.model[0](x, styles[0]), styles[1])


class Residuals(nn.Module):
    """A sequence of residual pairs: (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, width: int, count: int, norm: str):
        super().__init__()
        self.model = nn.Sequential(*(ResidualPair(width, norm) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class StyleEncoder(nn.Module):
    """(B,3,H,W) -> (B,style,1,1), without norms, which would remove the statistics of a style."""

    def __init__(self, width: int, style: int):
        super().__init__()
        shapes = ((3, width, 7, 1, 3), (width, 2 * width, 4, 2, 1), (2 * width, 4 * width, 4, 2, 1),
                  *[(4 * width, 4 * width, 4, 2, 1)] * 2)
        self.model = nn.Sequential(*(Block(*shape) for shape in shapes), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4 * width, style, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ContentEncoder(nn.Module):
    """(B,3,H,W) -> (B,4*width,H/4,W/4)."""

    def __init__(self, width: int, residuals: int, attention: bool):
        super().__init__()
        down = (Block(*shape, norm='instance')
                for shape in ((3, width, 7, 1, 3), (width, 2 * width, 4, 2, 1), (2 * width, 4 * width, 4, 2, 1)))
        tail = (_attention(4 * width), ResidualPair(4 * width, 'instance')) if attention else ()
        self.model = nn.Sequential(*down, Residuals(4 * width, residuals, 'instance'), *tail)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Decoder(nn.Module):
    """Content (B,C,h,w) and parameters of the adaptive norms (B,layers*2*C) -> (B,3,4h,4w) in [-1,1].

    The parameters of a layer are C shifts, then C scales.
    """

    def __init__(self, width: int, residuals: int, attention: bool):
        super().__init__()
        self.width, self.layers = 4 * width, 2 * (residuals + attention)
        tail = (_attention(4 * width), ResidualPair(4 * width, 'adaptive')) if attention else ()
        up = (layer for wide in (4 * width, 2 * width)
              for layer in (nn.Upsample(scale_factor=2), Block(wide, wide // 2, 5, 1, 2, norm='layer')))
        self.model = nn.Sequential(Residuals(4 * width, residuals, 'adaptive'), *tail, *up,
                                   Block(width, 3, 7, 1, 3, activation='tanh'))

    def forward(self, content: Tensor, affine: Tensor) -> Tensor:
        affine = rearrange(affine, 'b (layer pair c) -> layer pair b c 1 1', layer=self.layers, pair=2)
        layers = [pair.unbind() for pair in affine]
        x, index = content, 0
        residuals, *rest = self.model
        for module in [*residuals.get_submodule('model').children(), *rest]:
            if isinstance(module, ResidualPair):
                x, index = module(x, (layers[index], layers[index + 1])), index + 2
            else:
                x = module(x)
        return x


class _Linear(nn.Module):
    def __init__(self, width: int, out: int):
        super().__init__()
        self.fc = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


class StyleMLP(nn.Module):
    """Style (B,style) -> parameters of the decoder's adaptive norms (B,out)."""

    def __init__(self, style: int, hidden: int, out: int):
        super().__init__()
        self.model = nn.Sequential(_Linear(style, hidden), _Linear(hidden, hidden), _Linear(hidden, out))

    def forward(self, style: Tensor) -> Tensor:
        return self.model[2](F.relu(self.model[1](F.relu(self.model[0](style)))))


class StyleGenerator(nn.Module):
    """The auto-encoder of one domain, for images whose sides are multiples of 4.

    Args:
        width: channels of the first layer of the encoders.
        style: length of a style code.
        hidden: width of the MLP.
        residuals: residual pairs of content encoder and decoder each.
        attention: self-attention of SATNet, and one more residual pair after it, in content encoder and decoder.
    """

    def __init__(self, width: int = 64, style: int = 8, hidden: int = 256, residuals: int = 4, *, attention: bool = False):
        super().__init__()
        self.enc_style = StyleEncoder(width, style)
        self.enc_content = ContentEncoder(width, residuals, attention)
        self.dec = Decoder(width, residuals, attention)
        self.mlp = StyleMLP(style, hidden, 2 * self.dec.width * self.dec.layers)

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,H,W) in [-1,1] -> content (B,4*width,H/4,W/4), style (B,style,1,1)."""
        return self.enc_content(image), self.enc_style(image)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Content (B,4*width,H/4,W/4) and style (B,style,1,1) -> (B,3,H,W) in [-1,1]."""
        return self.dec(content, self.mlp(style.flatten(1)))


class ScaleDiscriminator(nn.Module):
    """Patch discriminators on the image and on average-pooled copies: (B,3,H,W) -> logits (B,1,h,w) per scale, finest first.

    Args:
        width: channels of the first layer.
        layers: halvings.
        scales: number of discriminators, each at half the resolution of the one before.
        sn: spectral normalization of SATNet.
        attention: self-attention of SATNet.
    """

    def __init__(self, width: int = 64, layers: int = 4, scales: int = 3, *, sn: bool = False, attention: bool = False):
        super().__init__()
        last = width * 2 ** (layers - 1)
        self.cnns = nn.ModuleList()
        for _ in range(scales):
            blocks = [Block(width << i - 1 if i else 3, width << i, 4, 2, 1, activation='leaky', sn=sn and i > 0)
                      for i in range(layers)]
            tail = [_attention(last)] if attention else []
            self.cnns.append(nn.Sequential(*blocks, *tail, nn.Conv2d(last, 1, 1)))

    def forward(self, image: Tensor) -> list[Tensor]:
        logits = []
        for scale, discriminator in enumerate(self.cnns):
            if scale:
                image = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
            logits.append(discriminator(image))
        return logits
