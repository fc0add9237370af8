"""Images folded into channels (pixel unshuffle), which makes a small network several times faster on a CPU, and back."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def folded(image: Tensor, condition_channels: Tensor | None, fold: int) -> Tensor:
    """Image (B,3,H,W) and label condition channels (B,S,H,W) -> (B,folded_channels(S, fold),H/fold,W/fold); the condition
    channels at half that fineness. fold: 1 for not at all, or a power of 2."""
    if condition_channels is not None and fold > 1:
        condition_channels = F.pixel_unshuffle(F.avg_pool2d(condition_channels, fold // 2), 2)
    image = F.pixel_unshuffle(image, fold)
    return image if condition_channels is None else torch.cat([image, condition_channels], 1)


def folded_channels(condition_channels: int, fold: int) -> int:
    """How many channels `folded` gives."""
    return 3 * fold ** 2 + condition_channels * (4 if fold > 1 else 1)


def unfolding(width: int, fold: int, out: int = 3, *, shuffle: bool = False) -> list[nn.Module]:
    """Layers (B,width,h,w) -> (B,out,fold*h,fold*w), fold a power of 2, or 1: each step doubles the side. Starts near zero.

    Sides double by interpolation, which leaves no checkerboard (Odena et al. 2016), or, with `shuffle`, by folding channels back,
    for outputs such as noise in which every pixel is on its own.
    """
    layers: list[nn.Module] = []
    if fold == 1:
        layers.append(conv := nn.Conv2d(width, out, 3, 1, 1))
    while fold > 1:
        narrow = width // 2 if fold > 2 else out
        conv = nn.Conv2d(width, 4 * narrow if shuffle else narrow, 3, 1, 1)
        layers += [conv, nn.PixelShuffle(2)] if shuffle else [nn.Upsample(scale_factor=2, mode='bilinear'), conv]
        layers += [nn.SiLU()] if fold > 2 else []
        width, fold = narrow, fold // 2
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)
    return layers
