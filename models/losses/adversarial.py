"""Adversarial losses of generator and discriminator, and penalties of the discriminator.

Logits are unbounded, one tensor per scale of the discriminator; losses are means over each scale, then over the scales.

| kind    | discriminator                             | generator          | paper                                   |
| ------- | ----------------------------------------- | ------------------ | --------------------------------------- |
| hinge   | max(0, 1 - D(real)) + max(0, 1 + D(fake)) | -D(fake)           | Lim & Ye 2017; SAGAN, Zhang 2019, eq. 4 |
| lsgan   | (D(real) - 1)^2 + D(fake)^2               | (D(fake) - 1)^2    | Mao et al. 2017, eq. 9                  |
| vanilla | softplus(-D(real)) + softplus(D(fake))    | softplus(-D(fake)) | Goodfellow et al. 2014, non-saturating  |
| wgan    | -D(real) + D(fake)                        | -D(fake)           | Arjovsky et al. 2017, eq. 2             |

wgan needs `clip_weights` after each update of the discriminator, or `gradient_penalty` (WGAN-GP).
"""
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.precision import full_precision

Adversary = Literal['hinge', 'lsgan', 'vanilla', 'wgan']

_REAL: dict[str, Callable[[Tensor], Tensor]] = {
    'hinge': lambda logits: F.relu(1 - logits), 'lsgan': lambda logits: (logits - 1).square(),
    'vanilla': lambda logits: F.softplus(-logits), 'wgan': torch.neg,
}
_FAKE: dict[str, Callable[[Tensor], Tensor]] = {
    'hinge': lambda logits: F.relu(1 + logits), 'lsgan': torch.square, 'vanilla': F.softplus, 'wgan': lambda logits: logits,
}
_GENERATOR: dict[str, Callable[[Tensor], Tensor]] = {**_REAL, 'hinge': torch.neg}


def _mean(value: Callable[[Tensor], Tensor], scales: Sequence[Tensor]) -> Tensor:
    """Mean of value(logits) over each scale, then over the scales."""
    return torch.stack([value(logits).mean() for logits in scales]).mean()


@full_precision
def discriminator_on_real(kind: Adversary, scales: Sequence[Tensor]) -> Tensor:
    """Discriminator loss on the logits of real images. Scalar. Publications that sum over n scales have n times this loss."""
    return _mean(_REAL[kind], scales)


@full_precision
def discriminator_on_fake(kind: Adversary, scales: Sequence[Tensor]) -> Tensor:
    """Discriminator loss on the logits of generated, detached images. Scalar."""
    return _mean(_FAKE[kind], scales)


@full_precision
def generator_loss(kind: Adversary, scales: Sequence[Tensor]) -> Tensor:
    """Generator loss on the logits of generated images. Scalar."""
    return _mean(_GENERATOR[kind], scales)


@full_precision
def accuracy(real: Sequence[Tensor], fake: Sequence[Tensor], *, threshold: float = 0.0) -> tuple[Tensor, Tensor]:
    """Fractions of logits of real images above the threshold (0.5 for lsgan), and of generated images below it. Two scalars."""
    def fraction(scales: Sequence[Tensor], sign: int) -> Tensor:
        return torch.stack([(sign * (logits - threshold) > 0).float().mean() for logits in scales]).mean()
    return fraction(real, 1), fraction(fake, -1)


@full_precision
@torch.enable_grad()  # in validation too, where nothing else is differentiated
def gradient_penalty(discriminator: Callable[[Tensor], Sequence[Tensor]], real: Tensor, fake: Tensor, *,
                     generator: torch.Generator | None = None) -> Tensor:
    """E(|grad D(x)| - 1)^2 on random interpolations x of real and fake images (B,3,H,W) (Gulrajani et al. 2017, eq. 3). Scalar.

    discriminator: images (B,3,H,W) -> logits per scale. generator: for the weights of the interpolation.
    """
    weight = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device, dtype=real.dtype)
    images = (weight * real + (1 - weight) * fake).detach().requires_grad_()
    gradient = _gradient(discriminator(images), images)  # (B,3*H*W)
    return ((gradient.square().sum(1) + 1e-12).sqrt() - 1).square().mean()


@full_precision
@torch.enable_grad()
def r1_penalty(discriminator: Callable[[Tensor], Sequence[Tensor]], real: Tensor) -> Tensor:
    """E|grad D(real)|^2 / 2 on real images (B,3,H,W) (Mescheder et al. 2018, eq. 9). Scalar. A penalty of every k-th step alone
    is multiplied by k (Karras et al. 2020, appendix B)."""
    real = real.detach().requires_grad_()
    return 0.5 * _gradient(discriminator(real), real).square().sum(1).mean()


def _gradient(scales: Sequence[Tensor], images: Tensor) -> Tensor:
    """(B,3*H*W): gradient of the sum over scales of each image's mean logit, differentiable."""
    total: Tensor = reduce(add, (logits.reshape(len(logits), -1).mean(1).sum() for logits in scales))
    return torch.autograd.grad(total, images, create_graph=True)[0].flatten(1)


def clip_weights(discriminator: nn.Module, limit: float = 0.01) -> None:
    """Clamp each parameter to -limit..limit, in place (Arjovsky et al. 2017, algorithm 1)."""
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.clamp_(-limit, limit)
