"""Towards the source's identity, and back to the target's background."""
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.unet import Condition
from models.ddpm.parameterization import noised
from models.ddpm.samplers import Hook, Step


class Guided(Denoiser):
    """Classifier-free guidance on the identity (Ho & Salimans 2022, eq. 6): what the network says without an identity plus
    `scale` times what the identity changes. 1 for none, which saves half of the work."""

    def __init__(self, denoiser: Denoiser, scale: float):
        super().__init__(denoiser.size, channels=denoiser.channels, prediction=denoiser.prediction,
                         learned_sigma=denoiser.learned_sigma, schedule=denoiser.schedule)
        self.denoiser, self.scale = denoiser, scale

    def forward(self, image: Tensor, timestep: Tensor, condition: Condition | None = None) -> Tensor:
        if condition is None or self.scale == 1:
            return self.denoiser(image, timestep, condition)
        both = condition.beside(condition.anonymous())
        told, untold = self.denoiser(image.repeat(2, 1, 1, 1), timestep.repeat(2), both).chunk(2)
        return untold + self.scale * (told - untold)


def background_of(target: Tensor, hidden: Tensor) -> Hook:
    """A hook that puts the target (B,3,H,W) back where `hidden` (B,1,H,W), 1 = face, is 0, at the noise level reached and with
    the noise that the network sees there (Lugmayr et al. 2022, eq. 8, without a new draw)."""
    def hook(x: Tensor, step: Step) -> Tensor:
        return hidden * x + (1 - hidden) * noised(target, step.noise, step.alpha_prev)
    return hook
