"""ArcFace's improved residual network (Deng et al. 2019, arXiv:1801.07698), names and values equal to insightface's
arcface_torch."""
import torch.nn.functional as F
from torch import Tensor, nn

from models.perception.encoders.network import EncoderNetwork

# depth -> residual blocks per layer
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 200: (6, 26, 60, 6)}
_WIDTHS = (64, 128, 256, 512)


class _Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + (x if self.downsample is None else self.downsample(x))


def _layer(width: int, out: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(_Block(width, out, 2), *(_Block(out, out, 1) for _ in range(blocks - 1)))


class IResNet(EncoderNetwork):
    """(B,3,112,112) RGB in [-1,1] -> (B,embedding), not normalized. depth is a key of DEPTHS; KeyError otherwise.

    dropout acts before the last linear layer; the scale of the last batch norm is fixed at 1, as published.
    """

    last_stage = ('layer4.', 'bn2.', 'fc.', 'features.')  # prefixes of its parameters

    def __init__(self, depth: int = 50, embedding: int = 512, dropout: float = 0.0):
        super().__init__()
        self.dropout = dropout
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        before = (64, *_WIDTHS)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _layer(width, out, blocks) for width, out, blocks in zip(before, _WIDTHS, DEPTHS[depth]))
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, embedding)
        self.features = nn.BatchNorm1d(embedding)
        self.features.weight.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B,512,7,7)
        x = F.dropout(self.bn2(x).flatten(1), self.dropout, self.training)  # (B,25088)
        return self.features(self.fc(x))  # (B,embedding)
