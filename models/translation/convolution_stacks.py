"""Stacks of strided and transposed convolutions between images and vectors."""
import math
from collections.abc import Callable

from torch import nn


def halvings(size: int) -> int:
    """Number of halvings that turn a side of `size` pixels into 4.

    Raises:
        ValueError: `size` is not a power of 2 from 8 on.
    """
    count = round(math.log2(size)) - 2
    if count < 1 or 4 * 2 ** count != size:
        raise ValueError(f'size {size} does not suit these networks: take a power of 2 from 8 on')
    return count


def downsampling_layers(widths: list[int], norm: Callable[[int], nn.Module], activation: nn.Module) -> nn.Sequential:
    """Strided 4x4 convolutions, the first without norm: (B,widths[0],H,W) -> (B,widths[-1],H/2^n,W/2^n) for n + 1 widths."""
    layers: list[nn.Module] = []
    for index, (inner, out) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Conv2d(inner, out, 4, 2, 1), *([norm(out)] if index else []), activation]
    return nn.Sequential(*layers)


def upsampling_layers(widths: list[int], norm: Callable[[int], nn.Module], *, pointwise: bool = False) -> nn.Sequential:
    """Transposed 4x4 convolutions: (B,widths[0],H,W) -> (B,widths[-1],H*2^n,W*2^n) for n + 1 widths.

    Args:
        pointwise: a 1x1 convolution after each doubling.
    """
    layers: list[nn.Module] = []
    for inner, out in zip(widths, widths[1:]):
        layers += [nn.ConvTranspose2d(inner, out, 4, 2, 1), norm(out), nn.ReLU()]
        layers += [nn.Conv2d(out, out, 1), norm(out), nn.ReLU()] if pointwise else []
    return nn.Sequential(*layers)
