"""Face parsing into the 19 parts of CelebAMask-HQ, and face masks."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import geometry
from models.base import ParsingNetwork
from models.batch import FACE_IDS, PARTS
from models.images import from_signed
from models.precision import full_precision
from models.runtime.fusion import fused


def _unit(width: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class ParsingUNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with the finest level folded by 2 into channels; the parser of the zoo.

    (B,3,H,W) in [-1,1] -> (B,19,H,W) logits; H and W multiples of 16.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 56, 96, 128)):
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), _unit(12, widths[0]))
        self.down = nn.ModuleList(nn.Sequential(_unit(a, b, 2), _unit(b, b)) for a, b in zip(widths, widths[1:]))
        self.up = nn.ModuleList(nn.Sequential(_unit(a + b, a)) for a, b in zip(widths, widths[1:]))
        self.out = nn.Sequential(nn.Conv2d(widths[0], 4 * len(PARTS), 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]  # (B,w0,H/2,W/2)
        for block in self.down:
            maps.append(block(maps[-1]))
        x = maps.pop()
        for block in reversed(self.up):
            x = F.interpolate(x, scale_factor=2, mode='nearest')
            x = block(torch.cat([maps.pop(), x], 1))
        return self.out(x)  # (B,19,H,W)


class FaceParser(ParsingNetwork):
    """A frozen parsing network with its alignment: (B,3,H,W) in [-1,1] in the template `face` -> logits of the same size.

    Args:
        network: network whose first or only output is (B,19,h,w).
        template: alignment of its training images.
        size: side of its training images in pixels.
        order: class of the network for each id of PARTS, None for the order of PARTS.
        imagenet: whether its input is normalized by the ImageNet statistics.
    """

    def __init__(self, network: nn.Module, *, template: str = 'face', size: int = 128, order: tuple[int, ...] | None = None,
                 imagenet: bool = False):
        super().__init__()
        self.network = fused(network)
        self.template = geometry.template(template).scaled(size, size)
        self.order = order
        self.imagenet = imagenet
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> 'FaceParser':
        """Stay in eval mode."""
        return super().train(False)

    @full_precision
    def forward(self, images: Tensor, *, template: str = 'face') -> Tensor:
        """Images (B,3,H,W) in [-1,1] aligned to `template` -> logits (B,19,H,W)."""
        height, width = images.shape[-2:]
        matrix = geometry.between(geometry.template(template).scaled(width, height), self.template)
        crop = geometry.warp(images, matrix, (self.template.height, self.template.width))
        if self.imagenet:
            crop = from_signed(crop, 'imagenet')
        logits = self.network(crop.contiguous(memory_format=torch.channels_last))
        logits = logits if isinstance(logits, Tensor) else logits[0]
        if self.order is not None:
            logits = logits[:, list(self.order)]
        return geometry.warp(logits, geometry.invert(matrix), (height, width))

    def face_mask(self, images: Tensor) -> Tensor:
        """Images (B,3,H,W) -> face probability (B,1,H,W)."""
        return face_probability(self(images))


def face_probability(logits: Tensor) -> Tensor:
    """(B,19,H,W) logits -> (B,1,H,W) summed probability of models.batch.FACE_PARTS."""
    return logits.softmax(1)[:, list(FACE_IDS)].sum(1, keepdim=True)


def face_mask(labels: Tensor) -> Tensor:
    """(B,H,W) ids of PARTS -> (B,1,H,W) float mask, 1 = face."""
    ids = torch.tensor(FACE_IDS, device=labels.device)
    return (labels[:, None, :, :, None] == ids).any(-1).float()  # torch.isin has no ONNX export
