"""Skip connections and images of the background of a face, from which the face is removed."""
import torch.nn.functional as F
from torch import Tensor, nn

MIN_COVERAGE = 1e-3  # smallest divisor: fraction of visible pixels in a cell of the pyramid


class BackgroundPath(nn.Module):
    """Feature maps of the background image and its condition channels, for every resolution of a decoder.

    (B,channels,h,w) -> list of `levels` maps (B,width,.,.), the first of h x w positions, each further one of half the side.
    """

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
    """Fill hidden pixels with a smooth continuation of the visible ones (push-pull; Gortler et al. 1996, section 3.4).

    A pyramid of mean visible colors is computed from fine to coarse and filled from coarse to fine.

    Args:
        image: (B,3,H,W).
        hidden: (B,1,H,W) in [0,1], 1 = hidden.

    Returns:
        (B,3,H,W), equal to the image where `hidden` is 0.
    """
    visible = 1 - hidden
    color, levels = image * visible, []
    while min(color.shape[-2:]) > 3:
        levels.append((color, visible))
        color, visible = F.avg_pool2d(color, 2, ceil_mode=True), F.avg_pool2d(visible, 2, ceil_mode=True)
    filled = color / visible.clamp_min(MIN_COVERAGE)
    for color, visible in reversed(levels):
        filled = color + (1 - visible) * F.interpolate(filled, size=color.shape[-2:], mode='bilinear')
    return filled
