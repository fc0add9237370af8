"""Pictures folded into channels (pixel unshuffle), which makes a small network several times faster on a CPU, and back."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def folded(picture: Tensor, planes: Tensor | None, fold: int) -> Tensor:
    """Picture (B,3,H,W) and label planes (B,S,H,W) -> (B,folded_channels(S, fold),H/fold,W/fold); the planes at half that
    fineness. fold: 1 for not at all, or a power of 2."""
    if planes is not None and fold > 1:
        planes = F.pixel_unshuffle(F.avg_pool2d(planes, fold // 2), 2)
    picture = F.pixel_unshuffle(picture, fold)
    return picture if planes is None else torch.cat([picture, planes], 1)


def folded_channels(planes: int, fold: int) -> int:
    """How many channels `folded` gives."""
    return 3 * fold ** 2 + planes * (4 if fold > 1 else 1)


def unfolding(width: int, fold: int, out: int = 3) -> list[nn.Module]:
    """Layers (B,width,h,w) -> (B,out,fold*h,fold*w), fold a power of 2: each step doubles the side. Starts near zero."""
    layers: list[nn.Module] = []
    while fold > 2:
        layers += [nn.Conv2d(width, 2 * width, 3, 1, 1), nn.PixelShuffle(2), nn.SiLU()]
        width, fold = width // 2, fold // 2
    last = nn.Conv2d(width, 4 * out, 3, 1, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return [*layers, last, nn.PixelShuffle(2)]
