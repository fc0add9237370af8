"""What surrounds the face, as skip connections that never show the face."""
import torch.nn.functional as F
from torch import Tensor, nn


class BackgroundPath(nn.Module):
    """What surrounds the face, and its shape, at every resolution of the decoder: (B,I,h,w) -> maps from h down, width each."""

    def __init__(self, channels: int, width: int, levels: int):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, 1, 1)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(levels - 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [F.silu(self.stem(x))]
        for conv in self.down:
            maps.append(F.silu(conv(maps[-1])))
        return maps


def push_pull_fill(image: Tensor, hidden: Tensor) -> Tensor:
    """The image (B,3,H,W) with what is hidden (B,1,H,W), 1 = hidden, replaced by a smooth continuation of what is not: a
    pyramid of known colors is averaged downwards and filled in upwards (push-pull, Gortler et al. 1996, section 3.4)."""
    known = 1 - hidden
    color, levels = image * known, []
    while min(color.shape[-2:]) > 3:
        levels.append((color, known))
        color, known = F.avg_pool2d(color, 2, ceil_mode=True), F.avg_pool2d(known, 2, ceil_mode=True)
    filled = color / known.clamp_min(1e-3)
    for color, known in reversed(levels):
        filled = color + (1 - known) * F.interpolate(filled, size=color.shape[-2:], mode='bilinear')
    return filled
