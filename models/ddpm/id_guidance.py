"""Guidance of an unconditional denoiser towards a person, by the gradient of an embedder."""
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import clean_from, split
from models.ddpm.schedules import betas

_LEAST = 0.05  # weight below which a step is not worth a gradient


class IdentityGuidance(Denoiser):
    """A denoiser whose predicted clean image x0' is pushed down the gradient of d = 1 - cos(embed(x0'), identity).

    The change has the root mean square strength * w * d, with w = 6.75 a (1-a)^2: largest at a = 1/3, where x0' is a face already
    and the denoiser can still make a natural image of the change, and nothing near the end, where it would stay as a pattern
    that only the embedder sees. through: `denoiser` takes the gradient by the noisy image, through the network, so that the
    change is one that it finds likely (Chung et al. 2023, algorithm 1); `image` takes that by x0' alone, which costs no pass
    backwards through the network (He et al. 2024).

    embed: (B,3,H,W) in [-1,1] -> (B,D) unit length, gradients flowing; identity: (B,D) or (1,D).
    """

    def __init__(self, denoiser: Denoiser, embed: Callable[[Tensor], Tensor], identity: Tensor, *, strength: float,
                 through: Literal['denoiser', 'image'] = 'denoiser'):
        super().__init__(denoiser.size, channels=denoiser.channels, prediction='sample', learned_sigma=denoiser.learned_sigma,
                         schedule=denoiser.schedule)
        self.denoiser, self.embed, self.identity = denoiser, embed, identity
        self.strength, self.through = strength, through
        self.alphas = torch.cumprod(1 - betas(denoiser.schedule), 0).float()

    def forward(self, image: Tensor, timestep: Tensor, condition=None) -> Tensor:
        alpha = self.alphas.to(image.device)[timestep][:, None, None, None]
        weight = 6.75 * alpha * (1 - alpha).square()
        if weight.max() < _LEAST:
            clean, sigma = self.predict(image, timestep, condition, alpha)
        else:
            with torch.enable_grad():
                start = image.detach().requires_grad_(self.through == 'denoiser')
                clean, sigma = self.predict(start, timestep, condition, alpha)
                if self.through == 'image':
                    clean = start = clean.detach().requires_grad_()
                distance = 1 - (self.embed(clean) * self.identity).sum(1)
                gradient, = torch.autograd.grad(distance.sum(), start)
            size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
            length = self.strength * weight * distance.detach()[:, None, None, None]
            clean = clean.detach() - length * gradient / size
        return clean if sigma is None else torch.cat([clean, sigma.detach()], 1)

    def predict(self, image: Tensor, timestep: Tensor, condition, alpha: Tensor) -> tuple[Tensor, Tensor | None]:
        """x0', clipped, and what the denoiser says of the variance."""
        output, sigma = split(self.denoiser(image, timestep, condition).float(), self.channels)
        return clean_from(self.denoiser.prediction, output, image, alpha).clamp(-1, 1), sigma
