"""MobileFaceNet (Chen et al. 2018, arXiv:1804.07573) in two published variants; tensor names and outputs equal to the originals.

    MobileFaceNet          Xiaoccer/MobileFaceNet_Pytorch: 112x96 input, 128 values; at 112x112 the encoder of the zoo
    MobileFaceNetInsight   insightface arcface_torch `get_mbf`: 112x112 input, 512 values
"""
from torch import Tensor, nn

from models.perception.encoders.network import EncoderNetwork


class _ConvNorm(nn.Module):
    """Convolution without bias, batch norm, and unless `linear` a PReLU, with the published tensor names."""

    def __init__(self, width: int, out: int, kernel: int | tuple[int, int], stride: int = 1, padding: int = 0, *,
                 depthwise: bool = False, linear: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, stride, padding, groups=width if depthwise else 1, bias=False)
        self.bn = nn.BatchNorm2d(out)
        if not linear:
            self.prelu = nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return self.prelu(x) if hasattr(self, 'prelu') else x


class _Bottleneck(nn.Module):
    def __init__(self, width: int, out: int, stride: int, expansion: int):
        super().__init__()
        inner = width * expansion
        self.residual = stride == 1 and width == out
        self.conv = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.PReLU(inner),
            nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


# expansion, width out, repetitions, stride of the first
_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class MobileFaceNet(EncoderNetwork):
    """(B,3,H,W) RGB in [-1,1] -> (B,width) embedding, not normalized. H and W are multiples of 16; published: 112x96."""

    last_stage = ('blocks.12.', 'blocks.13.', 'blocks.14.', 'conv2.', 'linear7.', 'linear1.')  # prefixes of its parameters

    def __init__(self, embedding: int = 128, height: int = 112, width: int = 96):
        super().__init__()
        self.conv1 = _ConvNorm(3, 64, 3, 2, 1)
        self.dw_conv1 = _ConvNorm(64, 64, 3, 1, 1, depthwise=True)
        blocks, channels = [], 64
        for expansion, out, count, stride in _STAGES:
            for index in range(count):
                blocks.append(_Bottleneck(channels, out, stride if index == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = _ConvNorm(channels, 512, 1)
        self.linear7 = _ConvNorm(512, 512, (height // 16, width // 16), depthwise=True, linear=True)
        self.linear1 = _ConvNorm(512, embedding, 1, linear=True)

    def features(self, x: Tensor, count: int = 4) -> list[Tensor]:
        """The first `count` feature maps, at 1/2, 1/4, 1/8 and 1/16 of the input."""
        maps = [self.dw_conv1(self.conv1(x))]
        for index, block in enumerate(self.blocks):
            x = block(maps[-1] if index == 0 else x)
            if index in (4, 11, 14):
                maps.append(x)
            if len(maps) == count:
                break
        return maps

    def head(self, x: Tensor) -> Tensor:
        """(B,128,H/16,W/16) last map -> (B,embedding)."""
        return self.linear1(self.linear7(self.conv2(x))).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1])


class _Stack(nn.Module):
    """Sequence of modules with insightface's tensor names, with a skip connection if residual."""

    def __init__(self, *modules: nn.Module, residual: bool = False):
        super().__init__()
        self.residual = residual
        self.layers = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _conv_norm(width: int, out: int, kernel: int = 1, stride: int = 1, padding: int = 0, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(width, out, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(out)]


def _unit(width: int, out: int, *shape: int) -> _Stack:
    return _Stack(*_conv_norm(width, out, *shape), nn.PReLU(out))


def _depthwise(width: int, out: int, inner: int, stride: int, *, residual: bool = False) -> _Stack:
    """1x1 to `inner` channels, 3x3 depthwise, linear 1x1."""
    return _Stack(_unit(width, inner), _unit(inner, inner, 3, stride, 1, inner), _Stack(*_conv_norm(inner, out)),
                  residual=residual)


def _residuals(width: int, inner: int, count: int) -> _Stack:
    return _Stack(*(_depthwise(width, width, inner, 1, residual=True) for _ in range(count)))


class MobileFaceNetInsight(EncoderNetwork):
    """(B,3,112,112) RGB in [-1,1] -> (B,embedding), not normalized. The default is `get_mbf`; `get_mbf_large` is scale 4 with
    blocks (2, 8, 12, 4)."""

    last_stage = ('layers.6.', 'layers.7.', 'conv_sep.', 'features.')

    def __init__(self, embedding: int = 512, blocks: tuple[int, int, int, int] = (1, 4, 6, 2), scale: int = 2):
        super().__init__()
        narrow, wide = 64 * scale, 128 * scale
        self.layers = nn.ModuleList([
            _unit(3, narrow, 3, 2, 1),
            _unit(narrow, narrow, 3, 1, 1, 64) if blocks[0] == 1 else _residuals(narrow, 128, blocks[0]),
            _depthwise(narrow, narrow, 128, 2), _residuals(narrow, 128, blocks[1]),
            _depthwise(narrow, wide, 256, 2), _residuals(wide, 256, blocks[2]),
            _depthwise(wide, wide, 512, 2), _residuals(wide, 256, blocks[3]),
        ])
        self.conv_sep = _unit(wide, 512)
        self.features = _Stack(_Stack(*_conv_norm(512, 512, 7, 1, 0, 512)), nn.Flatten(),
                               nn.Linear(512, embedding, bias=False), nn.BatchNorm1d(embedding))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.features(self.conv_sep(x))  # (B,embedding)
