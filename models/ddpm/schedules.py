"""Noise schedules, respacing, and schedulers by name."""
import math
from types import SimpleNamespace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from models.ddpm.parameterization import Schedule
from models.ddpm.process import Process

Sampler = Literal['ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc']

_DIFFUSERS: dict[str, tuple[str, dict[str, Any]]] = {
    'ddpm': ('DDPMScheduler', {'clip_sample': False}),
    'ddim': ('DDIMScheduler', {'clip_sample': False}),
    # The first levels of the cosine schedule have almost no signal; a solver in log SNR would spend its steps on them.
    'dpm++': ('DPMSolverMultistepScheduler', {'lambda_min_clipped': -5.1}),
    'unipc': ('UniPCMultistepScheduler', {}),
}


def betas(schedule: Schedule, steps: int = 1000) -> Tensor:
    """Noise schedule b_t, (steps,) float64.

    | schedule | equation                                                       | source                         |
    | -------- | -------------------------------------------------------------- | ------------------------------ |
    | linear   | from 1e-4 to 0.02, times 1000 / steps                          | Ho et al. 2020, section 4      |
    | cosine   | min(1 - f(t) / f(t-1), 0.999), f(t) = cos^2(pi/2 (t/T + s)/(1 + s)), s = 0.008 | Nichol & Dhariwal 2021, eq. 17 |

    ValueError for another name.
    """
    if schedule == 'linear':
        scale = 1000 / steps
        return torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64)
    if schedule != 'cosine':
        raise ValueError(f'unknown noise schedule {schedule!r}; known: linear, cosine')
    levels = [math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(steps + 1)]
    return torch.tensor([min(1 - after / before, 0.999) for before, after in zip(levels, levels[1:])], dtype=torch.float64)


def spaced(steps: int, kept: str) -> list[int]:
    """Ascending subset of `steps` timesteps in the notation of guided-diffusion: 'a,b,c' takes a, b and c evenly spaced timesteps
    of three equal sections; 'ddimN' N timesteps of one stride; '' all. Raises ValueError if no such subset exists."""
    if not kept:
        return list(range(steps))
    if kept.startswith('ddim'):
        count = int(kept.removeprefix('ddim'))
        strides = [stride for stride in range(1, steps) if len(range(0, steps, stride)) == count]
        if not strides:
            raise ValueError(f'no whole stride keeps {count} of {steps} timesteps; set a number without ddim')
        return list(range(0, steps, strides[0]))
    counts = [int(part) for part in kept.split(',')]
    sizes = [steps // len(counts) + (section < steps % len(counts)) for section in range(len(counts))]
    timesteps, start = [], 0
    for size, count in zip(sizes, counts):
        if not 1 <= count <= size:
            raise ValueError(f'{count} of {size} timesteps cannot be kept; set 1 to {size}')
        stride, offset = (size - 1) / (count - 1) if count > 1 else 1, 0.0
        for _ in range(count):
            timesteps.append(start + round(offset))
            offset += stride
        start += size
    return timesteps


class Scheduler(Protocol):
    """Interface of the schedulers of diffusers that `samplers.sample` uses; `config.prediction_type` is a Prediction."""

    config: Any
    timesteps: Tensor
    alphas_cumprod: Tensor

    def set_timesteps(self, steps: int | str, device: torch.device | str | None = None) -> None:
        """Set `timesteps`, descending. Only Ancestral takes a string."""

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """A step to the next noise level from prediction (B,C,H,W), timestep and noisy image (B,C,H,W), and options that differ
        between schedulers; the result has the attribute prev_sample, (B,C,H,W)."""


class Ancestral:
    """Ancestral sampler of guided-diffusion (Ho et al. 2020, algorithm 2) with the interface of a diffusers scheduler: the same
    respacing, learned sigma at the respaced levels, and noise sampled in every step, also the last, where it has weight 0."""

    def __init__(self, schedule: Schedule):
        self.betas = betas(schedule)
        self.alphas_cumprod = torch.cumprod(1 - self.betas, 0)
        self.config = SimpleNamespace(prediction_type='sample')

    def set_timesteps(self, steps: int | str, device: torch.device | str | None = None) -> None:
        """steps: their number, or a subset in the notation of `spaced`."""
        self.process = Process(self.betas, spaced(len(self.betas), str(steps)))
        self.timesteps = self.process.timesteps.flip(0).to(device)

    def step(self, clean: Tensor, timestep: Tensor, noisy: Tensor, generator: torch.Generator | None = None,
             sigma: Tensor | None = None) -> SimpleNamespace:
        """prev_sample x_(t-1) from predicted x0 and x_t, (B,3,H,W) each. sigma: see Process.log_variance."""
        index = (self.process.timesteps == int(timestep)).nonzero().expand(len(noisy), 1)[:, 0].to(noisy.device)
        noise = torch.randn(noisy.shape, generator=generator, device=noisy.device, dtype=noisy.dtype)
        mean = self.process.posterior_mean(clean, noisy, index)
        deviation = (0.5 * self.process.log_variance(index, sigma)).exp() * (index > 0)[:, None, None, None]
        return SimpleNamespace(prev_sample=mean + deviation * noise)


def scheduler(sampler: Sampler, schedule: Schedule) -> Scheduler:
    """A scheduler for `samplers.sample` that starts at the last of a schedule's 1000 levels. Raises ValueError for an unknown
    name."""
    if sampler == 'ancestral':
        return Ancestral(schedule)
    if sampler not in _DIFFUSERS:
        raise ValueError(f'unknown sampler {sampler!r}; known: ancestral, {", ".join(_DIFFUSERS)}')
    import diffusers  # takes seconds

    kind, options = _DIFFUSERS[sampler]
    return getattr(diffusers, kind)(trained_betas=betas(schedule).tolist(), prediction_type='sample',
                                    timestep_spacing='trailing', **options)
