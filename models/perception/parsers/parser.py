"""Face parsing: which of the 19 parts of CelebAMask-HQ each pixel shows, and the face mask that follows from it."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import geometry
from models.batch import FACE_IDS, PARTS
from models.precision import full_precision
from models.runtime.fusion import fused


def _unit(width: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class ParsingUNet(nn.Module):
    """The small parser of our own zoo, a U-Net (Ronneberger et al. 2015) whose finest level is folded by 2 into channels.

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


class FaceParser(nn.Module):
    """A frozen parsing network with its framing: (B,3,H,W) in [-1,1] in the template `face` -> logits of the same size.

    network: its first (or only) output is (B,19,h,w); template and size: framing and side in pixels that it was trained on;
    order: for each id of PARTS the network's own class; imagenet: whether it wants ImageNet's mean and deviation.
    """

    def __init__(self, network: nn.Module, *, template: str = 'face', size: int = 128, order: tuple[int, ...] | None = None,
                 imagenet: bool = False):
        super().__init__()
        self.network = fused(network)
        self.template = geometry.template(template).scaled(size, size)
        self.order = order
        self.imagenet = imagenet
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True):
        """Stays in eval mode: it is frozen."""
        return super().train(False)

    @full_precision
    def forward(self, images: Tensor, *, template: str = 'face') -> Tensor:
        """(B,3,H,W) in [-1,1], taken to lie in `template` -> (B,19,H,W) logits."""
        height, width = images.shape[-2:]
        own = self.template
        matrix = geometry.between(geometry.template(template).scaled(width, height), own)
        crop = geometry.warp(images, matrix, (own.height, own.width))
        if self.imagenet:
            mean, std = crop.new_tensor([0.485, 0.456, 0.406]), crop.new_tensor([0.229, 0.224, 0.225])
            crop = ((crop + 1) / 2 - mean[:, None, None]) / std[:, None, None]
        logits = self.network(crop.contiguous(memory_format=torch.channels_last))
        logits = logits if isinstance(logits, Tensor) else logits[0]
        if self.order is not None:
            logits = logits[:, list(self.order)]
        return geometry.warp(logits, geometry.invert(matrix), (height, width))

    def labels(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,H,W) int64 ids of PARTS."""
        return self(images).argmax(1)

    def face_mask(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,1,H,W), the probability that a pixel shows the face."""
        return face_probability(self(images))


def face_probability(logits: Tensor) -> Tensor:
    """(B,19,H,W) logits -> (B,1,H,W) summed probability of models.batch.FACE_PARTS."""
    return logits.softmax(1)[:, list(FACE_IDS)].sum(1, keepdim=True)


def face_mask(labels: Tensor) -> Tensor:
    """(B,H,W) ids of PARTS -> (B,1,H,W) float mask, 1 = face."""
    ids = torch.tensor(FACE_IDS, device=labels.device)
    return (labels[:, None, :, :, None] == ids).any(-1).float()  # not torch.isin, which ONNX lacks
