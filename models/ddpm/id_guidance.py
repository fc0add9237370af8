"""Guidance of a denoiser by the gradient of an identity encoder."""
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import clean_from, split
from models.ddpm.schedules import betas

_MIN_WEIGHT = 0.05  # weight w of a step below which no gradient is computed


class IdentityGuidance(Denoiser):
    """A denoiser whose predicted clean image x0' descends the gradient of d = 1 - cos(embed(x0'), id_embedding).

    The change has the root mean square strength * w * d with w = 6.75 a (1-a)^2, a = alphas_cumprod: the maximum is at a = 1/3,
    where x0' is a face and later steps still remove artifacts; w falls to 0 at the end, where an adversarial pattern would
    remain in the image.

    Args:
        denoiser: denoiser to guide.
        embed: (B,3,H,W) in [-1,1] -> (B,D) of unit length, differentiable.
        id_embedding: (B,D) or (1,D).
        strength: scale of the change.
        through: `denoiser` takes the gradient by the noisy image, through the network, which keeps the change on the image
            manifold (Chung et al. 2023, algorithm 1); `image` takes that by x0' alone, without backpropagation through the
            network (He et al. 2024).
    """

    def __init__(self, denoiser: Denoiser, embed: Callable[[Tensor], Tensor], id_embedding: Tensor, *, strength: float,
                 through: Literal['denoiser', 'image'] = 'denoiser'):
        super().__init__(denoiser.size, channels=denoiser.channels, prediction='sample', learned_sigma=denoiser.learned_sigma,
                         schedule=denoiser.schedule)
        self.denoiser, self.embed, self.id_embedding = denoiser, embed, id_embedding
        self.strength, self.through = strength, through
        self.alphas = torch.cumprod(1 - betas(denoiser.schedule), 0).float()

    def forward(self, image: Tensor, timestep: Tensor, condition: Any = None) -> Tensor:
        alpha = self.alphas.to(image.device)[timestep][:, None, None, None]
        weight = 6.75 * alpha * (1 - alpha).square()
        if weight.max() < _MIN_WEIGHT:
            clean, sigma = self.predict(image, timestep, condition, alpha)
        else:
            with torch.enable_grad():
                start = image.detach().requires_grad_(self.through == 'denoiser')
                clean, sigma = self.predict(start, timestep, condition, alpha)
                if self.through == 'image':
                    clean = start = clean.detach().requires_grad_()
                distance = 1 - (self.embed(clean) * self.id_embedding).sum(1)
                gradient, = torch.autograd.grad(distance.sum(), start)
            rms = gradient.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
            length = self.strength * weight * distance.detach()[:, None, None, None]
            clean = clean.detach() - length * gradient / rms
        return clean if sigma is None else torch.cat([clean, sigma.detach()], 1)

    def predict(self, image: Tensor, timestep: Tensor, condition: Any, alpha: Tensor) -> tuple[Tensor, Tensor | None]:
        """x0' clipped to [-1,1], and the variance outputs or None."""
        output, sigma = split(self.denoiser(image, timestep, condition).float(), self.channels)
        return clean_from(self.denoiser.prediction, output, image, alpha).clamp(-1, 1), sigma
