"""Identity encoder of the published SimSwap, an improved residual network with squeeze-excitation."""
import torch.nn.functional as F
from torch import Tensor, nn

from models import weights

_WIDTHS = (64, 128, 256, 512)


class _Squeeze(nn.Module):
    """Squeeze-excitation (Hu et al. 2018): (B,C,H,W) -> (B,C,H,W)."""

    def __init__(self, width: int):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, width // 16), nn.PReLU(), nn.Linear(width // 16, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class _Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int, squeeze: bool):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or width != out:
            self.downsample = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.se = _Squeeze(out) if squeeze else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        y = self.se(self.bn2(self.conv2(y)))
        return self.prelu(y + (x if self.downsample is None else self.downsample(x)))


class SimSwapArcFace(nn.Module):
    """(B,3,112,112) RGB, normalized by the ImageNet statistics -> (B,512), not normalized. depths: blocks of the four layers."""

    def __init__(self, depths: tuple[int, ...], squeeze: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(*(_Block(width if i else before, width, 1 if i else stride, squeeze) for i in range(depth)))
            for before, width, depth, stride in zip((64, *_WIDTHS), _WIDTHS, depths, (1, 2, 2, 2)))
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.bn3 = nn.BatchNorm1d(512)

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> 'SimSwapArcFace':
        """Build the network of a state dict, frozen; its depths and squeeze-excitation follow from the tensor names.
        Raises models.weights.WeightsError if the tensors do not fit."""
        depths = tuple(len({name.split('.')[1] for name in state if name.startswith(f'layer{layer}.')}) for layer in (1, 2, 3, 4))
        try:
            network = cls(depths, any('.se.' in name for name in state))
            network.load_state_dict(state)
        except RuntimeError as error:
            raise weights.WeightsError("the weights are not those of SimSwap's ArcFace: run "
                                       '`python scripts/weights.py convert simswap-arcface --unpickle` again') from error
        return network.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.prelu(self.bn1(self.conv1(x))), 2)  # (B,64,55,55)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B,512,7,7)
        return self.bn3(self.fc(self.bn2(x).flatten(1)))
