"""Sampling loops: denoising with diffusers' schedulers or the ancestral one, and DDIM inversion."""
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import as_prediction, clean_from, noise_from, noised, split
from models.ddpm.schedules import Scheduler


@dataclass(frozen=True)
class Step:
    """One step of a sampler, from timestep t to t_prev; the argument of hooks and callbacks.

    Attributes:
        index, count: the step, from 0 to count - 1, and the number of steps.
        t, t_prev: timesteps; t_prev is -1 in the last step.
        alpha, alpha_prev: alphas_cumprod at t and t_prev, 1 at t_prev in the last step.
        noisy: x_t, (B,3,H,W).
        clean, noise: predicted x0, clipped where the sampler clips, and the corresponding eps, (B,3,H,W) each.
        generator: source of random numbers.
    """

    index: int
    count: int
    t: int
    t_prev: int
    alpha: float
    alpha_prev: float
    noisy: Tensor
    clean: Tensor
    noise: Tensor
    generator: torch.Generator | None


# An image (B,3,H,W) and its step -> the changed image.
Hook = Callable[[Tensor, Step], Tensor]


@torch.no_grad()
def sample(denoiser: Denoiser, scheduler: Scheduler, noise: Tensor, condition: Any = None, steps: int | str = 50, *,
           hook: Hook | None = None, clean_hook: Hook | None = None, callback: Callable[[Step], None] | None = None,
           generator: torch.Generator | None = None, eta: float = 0.0, clip: bool = True, start: int = 0) -> Tensor:
    """Denoise (B,3,H,W) from pure noise to an image in [-1,1], in `steps` evaluations.

    Args:
        scheduler: a scheduler of diffusers with any prediction_type (models.ddpm.schedules.scheduler), or schedules.Ancestral.
        noise: x_T, or with `start` the noisy image of that step.
        condition: condition of the denoiser.
        hook: changes each x_(t_prev), the last one included. Multistep solvers and UniPC's corrector do not account for this
            change; use clean_hook with them.
        clean_hook: changes each predicted clean image after clipping, before the scheduler's step.
        callback: called with each step after its end.
        generator: source of random numbers.
        eta: fraction of the ancestral noise that DDIM adds (Song et al. 2021, eq. 16); no other scheduler uses it.
        clip: clamp the predicted clean image to [-1,1] in each step.
        start: number of leading steps to skip.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    options = inspect.signature(scheduler.step).parameters
    extra: dict[str, Any] = {name: value for name, value in (('generator', generator), ('eta', eta)) if name in options}
    times = [*map(int, scheduler.timesteps), -1]
    alphas = [*(float(scheduler.alphas_cumprod[t]) for t in times[:-1]), 1.0]
    if start and hasattr(scheduler, 'set_begin_index'):
        scheduler.set_begin_index(start)
    x = noise
    for index in range(start, len(times) - 1):
        t, alpha = times[index], alphas[index]
        output = denoiser(x, torch.full((len(x),), t, device=x.device), condition).float()
        predicted, sigma = split(output, denoiser.channels)
        clean = clean_from(denoiser.prediction, predicted, x, alpha)
        if clip:
            clean = clean.clamp(-1, 1)
        eps = noise_from(clean, x, alpha)
        step = Step(index, len(times) - 1, t, times[index + 1], alpha, alphas[index + 1], x, clean, eps, generator)
        if clean_hook is not None:
            clean = clean_hook(clean, step)
            eps = noise_from(clean, x, alpha)
            step = replace(step, clean=clean, noise=eps)
        prediction = as_prediction(scheduler.config.prediction_type, clean, eps, alpha)
        if 'sigma' in options:
            extra['sigma'] = sigma
        x = scheduler.step(prediction, scheduler.timesteps[index], x, **extra).prev_sample
        if hook is not None:
            x = hook(x, step)
        if callback is not None:
            callback(step)
    return x


def chained(*hooks: Hook) -> Hook:
    """A hook that applies `hooks` in order."""
    def hook(x: Tensor, step: Step) -> Tensor:
        for apply in hooks:
            x = apply(x, step)
        return x
    return hook


@torch.no_grad()
def invert(denoiser: Denoiser, scheduler: Scheduler, image: Tensor, condition: Any = None, steps: int = 50, *,
           start: int = 0) -> Tensor:
    """DDIM inversion (Song et al. 2021, section 4.3): an image (B,3,H,W) in [-1,1] -> the noisy image from which
    `sample(..., steps, start=start)` approximately reconstructs it."""
    scheduler.set_timesteps(steps, device=image.device)
    times = [int(t) for t in scheduler.timesteps[start:]][::-1]
    x = image
    for t, next_t in zip(times, times[1:]):
        alpha, next_alpha = (float(scheduler.alphas_cumprod[level]) for level in (t, next_t))
        output, _ = split(denoiser(x, torch.full((len(x),), t, device=x.device), condition).float(), denoiser.channels)
        clean = clean_from(denoiser.prediction, output, x, alpha)
        x = noised(clean, noise_from(clean, x, alpha), next_alpha)
    return x
