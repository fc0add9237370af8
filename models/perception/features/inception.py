"""Inception v3 of FID (Heusel et al. 2017, arXiv:1706.08500): the TensorFlow network of December 2015, which differs from
torchvision's in three pooling layers. Features are those of the last pooling."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception

from models.conversion.convert import read_state
from models.weights import path

FEATURES = 2048  # length of a feature vector
_SIDE_PX = 299


def _mean_pool(x: Tensor) -> Tensor:
    """Mean of 3x3 pixels without the padding, as in TensorFlow."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _A(inception.InceptionA):
    def _forward(self, x: Tensor) -> list[Tensor]:
        pooled = self.branch_pool(_mean_pool(x))
        return [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)),
                self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))), pooled]


class _C(inception.InceptionC):
    def _forward(self, x: Tensor) -> list[Tensor]:
        middle = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_1(x)
        for layer in (self.branch7x7dbl_2, self.branch7x7dbl_3, self.branch7x7dbl_4, self.branch7x7dbl_5):
            double = layer(double)
        return [self.branch1x1(x), middle, double, self.branch_pool(_mean_pool(x))]


class _E(inception.InceptionE):
    """Block E with max pooling or average pooling."""

    def __init__(self, channels: int, *, max_pooling: bool):
        super().__init__(channels)
        self.max_pooling = max_pooling

    def _forward(self, x: Tensor) -> list[Tensor]:
        middle, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.max_pooling else _mean_pool(x)
        return [self.branch1x1(x), torch.cat([self.branch3x3_2a(middle), self.branch3x3_2b(middle)], 1),
                torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1), self.branch_pool(pooled)]


class InceptionFeatures(nn.Module):
    """(B,3,H,W) in [-1,1], resized to 299 pixels without antialiasing, as FID is defined -> (B,2048). Frozen."""

    def __init__(self) -> None:
        super().__init__()
        network = inception.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
        network.Mixed_5b, network.Mixed_5c, network.Mixed_5d = _A(192, 32), _A(256, 64), _A(288, 64)
        network.Mixed_6b, network.Mixed_6c = _C(768, 128), _C(768, 160)
        network.Mixed_6d, network.Mixed_6e = _C(768, 160), _C(768, 192)
        network.Mixed_7b, network.Mixed_7c = _E(1280, max_pooling=False), _E(2048, max_pooling=True)
        network.fc = nn.Identity()
        network.transform_input = False
        self.network = network
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> 'InceptionFeatures':
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(F.interpolate(images, (_SIDE_PX, _SIDE_PX), mode='bilinear', align_corners=False))


def load_inception() -> InceptionFeatures:
    """InceptionFeatures with the published weights. Raises models.weights.MissingWeights if they are not in the cache."""
    network = InceptionFeatures()
    state = read_state(path('inception-fid'))
    network.network.load_state_dict({name: value for name, value in state.items() if not name.startswith('fc.')})
    return network
