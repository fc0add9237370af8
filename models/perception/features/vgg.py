"""VGG-16 and VGG-19 feature maps by layer name, for perceptual and style losses (Simonyan and Zisserman 2015,
arXiv:1409.1556)."""
import torch
from torch import Tensor, nn

from models.images import IMAGENET_MEAN, IMAGENET_STD

# convolutions in each of the five groups, and their widths
_COUNTS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


def _layers(counts: tuple[int, ...]) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    width = 3
    for group, (count, out) in enumerate(zip(counts, _WIDTHS), 1):
        for index in range(1, count + 1):
            layers[f'conv{group}_{index}'] = nn.Conv2d(width, out, 3, 1, 1)
            layers[f'relu{group}_{index}'] = nn.ReLU()
            width = out
        layers[f'pool{group}'] = nn.MaxPool2d(2)
    return layers


class VGGFeatures(nn.Module):
    """(B,3,H,W) RGB in [-1,1] -> layer name -> feature map, e.g. relu2_1 at half of the input's size. Frozen, differentiable in
    the images.

    Keys of the state dict are torchvision's `features.N.weight` and `features.N.bias`: the network
    ends at the last of `taps`. The input is normalized by the ImageNet statistics inside. Raises ValueError for an unknown depth
    (16, 19) or layer name.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, depth: int = 19, taps: tuple[str, ...] = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')):
        super().__init__()
        if depth not in _COUNTS:
            raise ValueError(f'VGG has no depth {depth}; known: {", ".join(map(str, _COUNTS))}')
        layers = _layers(_COUNTS[depth])
        unknown = [tap for tap in taps if tap not in layers]
        if unknown or not taps:
            raise ValueError(f'VGG-{depth} has no layer {", ".join(unknown) or "(none)"}; known: {", ".join(layers)}')
        names = list(layers)
        self.taps = {names.index(tap): tap for tap in taps}
        self.features = nn.Sequential(*list(layers.values())[:max(self.taps) + 1])
        self.register_buffer('mean', torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, x: Tensor, layers: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """layers: a subset of the taps, all if None; the network is evaluated up to the last of them."""
        taps = {index: tap for index, tap in self.taps.items() if layers is None or tap in layers}
        x = ((x + 1) / 2 - self.mean) / self.std
        maps = {}
        for index, layer in enumerate(self.features[:max(taps) + 1]):
            x = layer(x)
            if index in taps:
                maps[taps[index]] = x
        return maps
