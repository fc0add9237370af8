"""What samplers, losses and hooks know of a diffusion network.

A noisy image is x_t = sqrt(a) x0 + sqrt(1 - a) eps, with a = alphas_cumprod[t] between 0 (noise) and 1 (image)
(Ho et al. 2020, eq. 4). The functions below take `alpha` as a number or as a tensor that broadcasts, such as (B,1,1,1).
"""
from typing import Literal

from torch import Tensor, nn

# In the names of diffusers: eps, x0, or v = sqrt(a) eps - sqrt(1 - a) x0 (Salimans & Ho 2022, section 4).
Prediction = Literal['epsilon', 'sample', 'v_prediction']
Schedule = Literal['linear', 'cosine']  # of models.ddpm.schedules.betas


class Denoiser(nn.Module):
    """Base of every diffusion network.

    size: side in pixels of the images it was made for. channels: of an image. prediction: what its first `channels` outputs
    are. learned_sigma: as many outputs follow, which say where between its bounds the log variance lies (-1 to 1). schedule: the
    noise levels that it was trained with, 1000 of them.
    """

    def __init__(self, size: int, *, channels: int = 3, prediction: Prediction = 'epsilon', learned_sigma: bool = False,
                 schedule: Schedule = 'linear'):
        super().__init__()
        self.size, self.channels, self.prediction = size, channels, prediction
        self.learned_sigma, self.schedule = learned_sigma, schedule

    def forward(self, image: Tensor, timestep: Tensor, condition=None) -> Tensor:
        """Noisy image (B,3,H,W), timestep (B,) int64 in 0..999, and what the network accepts as a condition, None for
        none -> (B,3,H,W), or (B,6,H,W) where sigma is learned."""
        raise TypeError(f'{type(self).__name__} denoises nothing')


def split(output: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """The output of a denoiser -> prediction (B,C,H,W), and the outputs for the variance, (B,C,H,W) or None."""
    return output[:, :channels], output[:, channels:] if output.shape[1] > channels else None


def noised(clean: Tensor, noise: Tensor, alpha: Tensor | float) -> Tensor:
    """x_t from x0 and eps (B,C,H,W)."""
    return _root(alpha) * clean + _root(1 - alpha) * noise


def clean_from(prediction: Prediction, output: Tensor, noisy: Tensor, alpha: Tensor | float) -> Tensor:
    """The clean image x0 (B,C,H,W), not clipped, that a prediction (B,C,H,W) at x_t (B,C,H,W) means."""
    if prediction == 'sample':
        return output
    if prediction == 'v_prediction':
        return _root(alpha) * noisy - _root(1 - alpha) * output
    return (noisy - _root(1 - alpha) * output) / _root(alpha)


def noise_from(clean: Tensor, noisy: Tensor, alpha: Tensor | float) -> Tensor:
    """The noise eps (B,C,H,W) that turns x0 into x_t; alpha below 1."""
    return (noisy - _root(alpha) * clean) / _root(1 - alpha)


def as_prediction(prediction: Prediction, clean: Tensor, noise: Tensor, alpha: Tensor | float) -> Tensor:
    """What a denoiser of this parametrization should say for x0 and eps (B,C,H,W)."""
    if prediction == 'sample':
        return clean
    if prediction == 'v_prediction':
        return _root(alpha) * noise - _root(1 - alpha) * clean
    return noise


def _root(value: Tensor | float) -> Tensor | float:
    return value.sqrt() if isinstance(value, Tensor) else value ** 0.5
