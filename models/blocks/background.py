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
