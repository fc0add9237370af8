"""Networks between images and vectors: strided convolutions down, transposed ones up."""
import math
from collections.abc import Callable

from torch import nn


def levels(size: int) -> int:
    """How often a side of `size` pixels is halved until it is 4; ValueError where it never is."""
    found = round(math.log2(size)) - 2
    if found < 1 or 4 * 2 ** found != size:
        raise ValueError(f'size {size} does not suit these networks: take a power of 2 from 8 on')
    return found


def downsampling_layers(widths: list[int], norm: Callable[[int], nn.Module], activation: nn.Module) -> nn.Sequential:
    """(B,widths[0],H,W) -> (B,widths[-1],H/2^n,W/2^n) for n + 1 widths; no norm acts on the first layer."""
    layers: list[nn.Module] = []
    for index, (inner, out) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Conv2d(inner, out, 4, 2, 1), *([norm(out)] if index else []), activation]
    return nn.Sequential(*layers)


def upsampling_layers(widths: list[int], norm: Callable[[int], nn.Module], *, mixed: bool = False) -> nn.Sequential:
    """(B,widths[0],H,W) -> (B,widths[-1],H*2^n,W*2^n) for n + 1 widths. mixed: a 1x1 convolution after each doubling."""
    layers: list[nn.Module] = []
    for inner, out in zip(widths, widths[1:]):
        layers += [nn.ConvTranspose2d(inner, out, 4, 2, 1), norm(out), nn.ReLU()]
        layers += [nn.Conv2d(out, out, 1), norm(out), nn.ReLU()] if mixed else []
    return nn.Sequential(*layers)
