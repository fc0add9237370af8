"""Classifier-free guidance on the identity, and the background of the target."""
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.unet import Condition
from models.ddpm.parameterization import noised
from models.ddpm.samplers import Hook, Step


class Guided(Denoiser):
    """Classifier-free guidance on the identity (Ho & Salimans 2022, eq. 6): u + scale (c - u), with c the prediction of
    `denoiser` with the identity and u that without it. A scale of 1 evaluates c alone, which halves the cost."""

    def __init__(self, denoiser: Denoiser, scale: float):
        super().__init__(denoiser.size, channels=denoiser.channels, prediction=denoiser.prediction,
                         learned_sigma=denoiser.learned_sigma, schedule=denoiser.schedule)
        self.denoiser, self.scale = denoiser, scale

    def forward(self, image: Tensor, timestep: Tensor, condition: Condition | None = None) -> Tensor:
        if condition is None or self.scale == 1:
            return self.denoiser(image, timestep, condition)
        both = condition.concatenated(condition.without_identity())
        conditional, unconditional = self.denoiser(image.repeat(2, 1, 1, 1), timestep.repeat(2), both).chunk(2)
        return unconditional + self.scale * (conditional - unconditional)


def background_of(target: Tensor, face: Tensor) -> Hook:
    """A hook that replaces x outside the face mask (B,1,H,W) by the target (B,3,H,W) at the noise level of the step, with the
    predicted noise in place of a new sample (Lugmayr et al. 2022, eq. 8)."""
    def hook(x: Tensor, step: Step) -> Tensor:
        return face * x + (1 - face) * noised(target, step.noise, step.alpha_prev)
    return hook
