"""Parameterizations of a diffusion model and the conversions between them.

A noisy image is x_t = sqrt(a) x0 + sqrt(1 - a) eps, with a = alphas_cumprod[t] between 0 (noise) and 1 (image)
(Ho et al. 2020, eq. 4). `alpha` is a number or a tensor that broadcasts, such as (B,1,1,1).
"""
from typing import Literal

from torch import Tensor

# In the names of diffusers: eps, x0, or v = sqrt(a) eps - sqrt(1 - a) x0 (Salimans & Ho 2022, section 4).
Prediction = Literal['epsilon', 'sample', 'v_prediction']
Schedule = Literal['linear', 'cosine']  # of models.ddpm.schedules.betas


def split(output: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """Split the output of a denoiser into the prediction (B,C,H,W) and the variance values (B,C,H,W), None without learned
    sigma."""
    return output[:, :channels], output[:, channels:] if output.shape[1] > channels else None


def noised(clean: Tensor, noise: Tensor, alpha: Tensor | float) -> Tensor:
    """x_t = sqrt(a) x0 + sqrt(1 - a) eps, (B,C,H,W)."""
    return _root(alpha) * clean + _root(1 - alpha) * noise


def clean_from(prediction: Prediction, output: Tensor, noisy: Tensor, alpha: Tensor | float) -> Tensor:
    """x0 (B,C,H,W), not clipped, from a prediction (B,C,H,W) at x_t (B,C,H,W).

    epsilon: (x_t - sqrt(1 - a) eps) / sqrt(a). sample: the prediction. v_prediction: sqrt(a) x_t - sqrt(1 - a) v.
    """
    if prediction == 'sample':
        return output
    if prediction == 'v_prediction':
        return _root(alpha) * noisy - _root(1 - alpha) * output
    return (noisy - _root(1 - alpha) * output) / _root(alpha)


def noise_from(clean: Tensor, noisy: Tensor, alpha: Tensor | float) -> Tensor:
    """eps = (x_t - sqrt(a) x0) / sqrt(1 - a), (B,C,H,W); alpha below 1."""
    return (noisy - _root(alpha) * clean) / _root(1 - alpha)


def as_prediction(prediction: Prediction, clean: Tensor, noise: Tensor, alpha: Tensor | float) -> Tensor:
    """The regression target of a denoiser of this parameterization for x0 and eps (B,C,H,W)."""
    if prediction == 'sample':
        return clean
    if prediction == 'v_prediction':
        return _root(alpha) * noise - _root(1 - alpha) * clean
    return noise


def _root(value: Tensor | float) -> Tensor | float:
    return value.sqrt() if isinstance(value, Tensor) else value ** 0.5
