"""Kullback-Leibler divergence of a Gaussian latent, and its samples."""
import torch
from torch import Tensor

from models.precision import full_precision


@full_precision
def kl_divergence(mean: Tensor, logvar: Tensor, *, free_bits: float = 0.0) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of a latent (B,C,H,W), in nats per latent value (Kingma & Welling 2014, eq. 10).
    Scalar.

    (mean^2 + exp(logvar) - 1 - logvar) / 2

    free_bits: nats per channel, as a mean over batch and positions, below which a channel has no gradient (Kingma et al.
    2016, eq. 15).
    """
    value = 0.5 * (mean.square() + logvar.exp() - 1 - logvar)  # (B,C,H,W)
    return value.mean((0, 2, 3)).clamp_min(free_bits).mean()


@full_precision
def reparametrize(mean: Tensor, logvar: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """A differentiable sample mean + exp(logvar / 2) * noise (Kingma & Welling 2014, eq. 10), of the shape of mean."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + (0.5 * logvar).exp() * noise
