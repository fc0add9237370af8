"""From noise to an image, and back, by any of diffusers' schedulers or the published ancestral one."""
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import as_prediction, clean_from, noise_from, noised, split


@dataclass(frozen=True)
class Step:
    """One step of a sampler, from timestep t to t_prev, as hooks and callbacks see it.

    index counts the steps of the whole way from 0 to count - 1. t_prev is -1 after the last step. alpha, alpha_prev:
    alphas_cumprod at both, 1 after the last step. noisy: x_t. clean, noise: x0, clipped where the sampler clips, and eps with
    which it explains x_t; (B,3,H,W) each. generator: what random draws are to use.
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


# An image (B,3,H,W) and the step that it belongs to -> the image as it should go on.
Hook = Callable[[Tensor, Step], Tensor]


@torch.no_grad()
def sample(denoiser: Denoiser, scheduler, noise: Tensor, condition=None, steps: int = 50, *, hook: Hook | None = None,
           clean_hook: Hook | None = None, callback: Callable[[Step], None] | None = None,
           generator: torch.Generator | None = None, eta: float = 0.0, clip: bool = True, start: int = 0) -> Tensor:
    """Denoise (B,3,H,W) from pure noise to an image in [-1,1], in `steps` evaluations.

    scheduler: one of diffusers' (see models.ddpm.schedules.scheduler), whatever its prediction_type, or schedules.Ancestral.
    condition: handed to the denoiser.
    hook: changes each x_(t_prev), the last one too. clean_hook: changes each predicted clean image, clipped, before the
    scheduler sees it. A solver that remembers past predictions, or corrects past images from them as UniPC does, takes only
    the latter for its own. Several are chained by `chained`. callback: sees each step after it was done.
    eta: share of the ancestral noise that DDIM adds (Song et al. 2021, eq. 16); others ignore it. clip: clamp the predicted
    clean image to [-1,1] in each step. start: how many steps to leave out; `noise` is then the noisy image of the next.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    options = inspect.signature(scheduler.step).parameters
    extra = {name: value for name, value in (('generator', generator), ('eta', eta)) if name in options}
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
        told = as_prediction(scheduler.config.prediction_type, clean, eps, alpha)
        if 'sigma' in options:
            extra['sigma'] = sigma
        x = scheduler.step(told, scheduler.timesteps[index], x, **extra).prev_sample
        if hook is not None:
            x = hook(x, step)
        if callback is not None:
            callback(step)
    return x


def chained(*hooks: Hook) -> Hook:
    """One hook that applies several, in this order."""
    def hook(x: Tensor, step: Step) -> Tensor:
        for each in hooks:
            x = each(x, step)
        return x
    return hook


@torch.no_grad()
def invert(denoiser: Denoiser, scheduler, image: Tensor, condition=None, steps: int = 50, *, start: int = 0) -> Tensor:
    """DDIM run backwards (Song et al. 2021, section 4.3): from an image (B,3,H,W) in [-1,1] to the noisy image out of which
    `sample(..., steps, start=start)` makes it again, as far as it goes in so many steps."""
    scheduler.set_timesteps(steps, device=image.device)
    times = [int(t) for t in scheduler.timesteps[start:]][::-1]
    x = image
    for t, following in zip(times, times[1:]):
        alpha, next_alpha = (float(scheduler.alphas_cumprod[level]) for level in (t, following))
        output, _ = split(denoiser(x, torch.full((len(x),), t, device=x.device), condition).float(), denoiser.channels)
        clean = clean_from(denoiser.prediction, output, x, alpha)
        x = noised(clean, noise_from(clean, x, alpha), next_alpha)
    return x
