"""ILVR: samples of an unconditional denoiser with the coarse content of a reference (Choi et al. 2021, arXiv:2108.02938).

`published` changes each noisy image (their algorithm 1): x_(t-1) becomes x_(t-1) - phi(x_(t-1)) + phi(y_(t-1)), with new noise in
y_(t-1). It needs many small steps: the new noise is not part of the ODE that a solver follows, multistep solvers extrapolate
over the change, and UniPC's corrector overwrites it.

`corrected` changes the predicted clean image before the scheduler's step: x0 becomes x0 - P x0 + P y, with the projection P on
the span of the downsampling. The corrected denoiser is as smooth as the original one, so that a solver keeps its order. In the
span of P the prediction is P y at every noise level, for which DDIM, DPM-Solver++ and UniPC are exact at any number of steps:
x_t = sqrt(a_t) P y + sqrt(1 - a_t) P eps with the initial noise eps. An ancestral step samples the true posterior given the
reference. After the last step the downsampled image equals the downsampled reference, up to clipping.
"""
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from configs.base import Config
from models.ddpm.id_guidance import IdentityGuidance
from models.ddpm.lowpass import low_pass, masked, projected
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import noised
from models.ddpm.samplers import Hook, Step, sample
from models.ddpm.schedules import Sampler, scheduler


class ILVRConfig(Config):
    """Settings of ILVR."""

    corrects: Literal['clean', 'noisy'] = Field('clean', description='correct the predicted clean image, or the noisy one as '
                                                                     'published')
    down: float = Field(8, ge=1, description='factor N of the low-pass')
    down_last: float | None = Field(None, ge=1, description='factor at `until`, None for a constant factor')
    begin: float = Field(1.0, ge=0, le=1, description='remaining fraction of the steps where the correction begins')
    until: float = Field(0.0, ge=0, le=1, description='remaining fraction of the steps where the correction ends')
    sampler: Sampler = Field('ddim', description='sampler, a name of models.ddpm.schedules')
    steps: int = Field(50, ge=1, le=1000, description='evaluations of the network')
    eta: float = Field(0.0, ge=0, le=1, description='fraction of the ancestral noise that DDIM adds')
    id_guidance: float = Field(0.0, ge=0, description='strength of the identity guidance, 0 for none')
    through: Literal['denoiser', 'image'] = Field('denoiser', description='gradient of the identity guidance (IdentityGuidance)')

    @model_validator(mode='after')
    def _ordered(self) -> 'ILVRConfig':
        if self.until > self.begin:
            raise ValueError('the remaining fraction falls from 1 to 0: until must not be above begin')
        return self

    @property
    def finest(self) -> float:
        """The factor of the low-pass at `until`."""
        return self.down if self.down_last is None else self.down_last

    def factor(self, remaining: float) -> float:
        """The factor of the low-pass at the remaining fraction of the steps."""
        if self.begin == self.until:
            return self.down
        progress = (self.begin - remaining) / (self.begin - self.until)
        return self.down ** (1 - progress) * self.finest ** progress


# Settings of the authors: guided-diffusion respaced to 100 ancestral steps.
PUBLISHED = ILVRConfig(corrects='noisy', down=32, until=0.2, sampler='ancestral', steps=100)


def corrected(reference: Tensor, config: ILVRConfig, mask: Tensor | None = None) -> Hook:
    """A clean_hook for `samplers.sample`. reference (B,3,H,W) in [-1,1]; mask (B,1,H,W) or (1,1,H,W) in [0,1], 1 where the
    correction applies."""
    def hook(clean: Tensor, step: Step) -> Tensor:
        remaining = (step.count - 1 - step.index) / step.count
        if not config.until <= remaining <= config.begin:
            return clean
        return clean + masked(projected, reference - clean, config.factor(remaining), mask)
    return hook


def published(reference: Tensor, config: ILVRConfig, mask: Tensor | None = None) -> Hook:
    """A hook for `samplers.sample`; arguments are those of `corrected`. As in the authors' code the reference has the noise level
    at the start of the step, not that at its end, and the last step is not corrected."""
    def hook(x: Tensor, step: Step) -> Tensor:
        remaining = (step.count - 1 - step.index) / step.count
        if not config.until < remaining <= config.begin:
            return x
        noise = torch.randn(x.shape, generator=step.generator, device=x.device, dtype=x.dtype)
        return x + masked(low_pass, noised(reference, noise, step.alpha) - x, config.factor(remaining), mask)
    return hook


def mixed(references: Tensor, weights: list[float]) -> Tensor:
    """Weighted mean of references, (R,...,3,H,W) -> (...,3,H,W); its low-pass is the mean of their low-passes. Raises ValueError
    for weights that are negative, all 0 or of another number."""
    if len(weights) != len(references) or sum(weights) <= 0 or min(weights) < 0:
        raise ValueError(f'{len(references)} references need as many weights, none below 0 and not all 0')
    return torch.einsum('r,r...->...', references.new_tensor(weights) / sum(weights), references)


def refine(denoiser: Denoiser, reference: Tensor, config: ILVRConfig, *, mask: Tensor | None = None,
           embed: Callable[[Tensor], Tensor] | None = None, id_embedding: Tensor | None = None,
           generator: torch.Generator | None = None, callback: Callable[[Step], None] | None = None) -> Tensor:
    """One sample for each reference (B,3,H,W) in [-1,1]: same shape and range.

    mask: as in `corrected`. embed, id_embedding (B,D): embedder and target of the identity guidance, if config.id_guidance is
    above 0. callback: called with each step.
    """
    if config.id_guidance:
        if embed is None or id_embedding is None:
            raise ValueError('id_guidance needs an embedder and a target embedding')
        denoiser = IdentityGuidance(denoiser, embed, id_embedding, strength=config.id_guidance, through=config.through)
    hook = published(reference, config, mask) if config.corrects == 'noisy' else None
    clean_hook = corrected(reference, config, mask) if config.corrects == 'clean' else None
    noise = torch.randn(reference.shape, generator=generator, device=reference.device, dtype=reference.dtype)
    return sample(denoiser, scheduler(config.sampler, denoiser.schedule), noise, None, config.steps, hook=hook,
                  clean_hook=clean_hook, callback=callback, generator=generator, eta=config.eta).clamp(-1, 1)
