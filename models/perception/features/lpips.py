"""LPIPS, a learned perceptual distance of two images (Zhang et al. 2018, arXiv:1801.03924), version 0.1 on AlexNet."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import alexnet

from models.conversion.convert import read_state
from models.weights import path

_TAPS = (1, 4, 7, 9, 11)  # indices into AlexNet's features: after the ReLU of each convolution
_WIDTHS = (64, 192, 384, 256, 256)


class LPIPS(nn.Module):
    """(B,3,H,W), (B,3,H,W) in [-1,1] -> (B,), eq. 1 of the paper; images below 64 pixels are resized to 64. Frozen.

    heads holds the weight of each channel of the five layers, `lin0` to `lin4` of the published file.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = alexnet(weights=None).features
        self.heads = nn.ParameterList(torch.ones(width) for width in _WIDTHS)
        # Constants of the published code: the ImageNet statistics for [-1,1], rounded.
        self.register_buffer('mean', torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1), persistent=False)
        self.register_buffer('deviation', torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps (B,C,.,.) of the five layers, of unit length over the channels."""
        x, maps = (x - self.mean) / self.deviation, []
        for index, layer in enumerate(self.features[:max(_TAPS) + 1]):
            x = layer(x)
            if index in _TAPS:
                maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return maps

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        if min(first.shape[-2:]) < 64:
            first, second = (F.interpolate(x, (64, 64), mode='bicubic', antialias=True) for x in (first, second))
        pairs = zip(self.heads, self.maps(first), self.maps(second))
        return sum(((a - b).square() * head[:, None, None]).sum(1).mean((1, 2)) for head, a, b in pairs)


def load_lpips() -> LPIPS:
    """LPIPS with the published weights. Raises models.weights.MissingWeights if they are not in the cache."""
    network = LPIPS()
    backbone, heads = read_state(path('alexnet')), read_state(path('lpips-alex'))
    network.features.load_state_dict({name.removeprefix('features.'): value for name, value in backbone.items()
                                      if name.startswith('features.')})
    network.heads.load_state_dict({str(index): heads[f'lin{index}.model.1.weight'].flatten() for index in range(len(_TAPS))})
    return network
