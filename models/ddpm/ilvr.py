"""ILVR: images that an unconditional denoiser makes, with the coarse content of a reference (Choi et al. 2021).

As published, each noisy image gets the low-pass of the reference, noised afresh: x_(t-1) becomes x_(t-1) - phi(x_(t-1)) +
phi(y) (algorithm 1 there). That needs many small steps: the new noise is nothing that a solver of the ODE could follow, one that
remembers its predictions extrapolates from one jump to the next, and UniPC's corrector puts its own image in place of the
corrected one.

Here the predicted clean image is corrected instead, before the scheduler sees it: x0 becomes x0 - P x0 + P y with the
projection P on what survives the reduction. For the solver that is another denoiser, as smooth as the first, so that it keeps its
order. In the span of P it says the same P y at every noise level, for which DDIM, DPM-Solver++ and UniPC are exact at any number
of steps: there x_t = sqrt(a_t) P y + sqrt(1 - a_t) P eps, the reference at the noise level that each step reaches, with the noise
that the sample began with; an ancestral step draws from the true posterior given the reference. After the last step the image
is reduced to what the reference is, up to clipping.
"""
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from configs.base import Config
from models.ddpm.id_guidance import IdentityGuidance
from models.ddpm.lowpass import known, low_pass, projected
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import noised
from models.ddpm.samplers import Hook, Step, sample
from models.ddpm.schedules import Sampler, scheduler


class ILVRConfig(Config):
    """corrects: the predicted clean image, or the noisy one as published. down: factor N of the low-pass, any number from 1;
    down_last: the one reached where the reference lets go, changing geometrically on the way. begin, until: between which shares
    of the way, 1 the noise and 0 the image, the reference acts. sampler, steps, eta: see models.ddpm.samplers. identity:
    strength of the identity guidance; through: see IdentityGuidance."""

    corrects: Literal['clean', 'noisy'] = 'clean'
    down: float = Field(8, ge=1)
    down_last: float | None = Field(None, ge=1)
    begin: float = Field(1.0, ge=0, le=1)
    until: float = Field(0.0, ge=0, le=1)
    sampler: Sampler = 'ddim'
    steps: int = Field(50, ge=1, le=1000)
    eta: float = Field(0.0, ge=0, le=1)
    id_guidance: float = Field(0.0, ge=0)
    through: Literal['denoiser', 'image'] = 'denoiser'

    @model_validator(mode='after')
    def _ordered(self):
        if self.until > self.begin:
            raise ValueError('the way leads from 1 to 0: until must not lie above begin')
        return self

    @property
    def finest(self) -> float:
        """The factor with which the reference lets go."""
        return self.down if self.down_last is None else self.down_last

    def factor(self, left: float) -> float:
        """The factor of the low-pass where the share `left` of the way is left."""
        if self.begin == self.until:
            return self.down
        done = (self.begin - left) / (self.begin - self.until)
        return self.down ** (1 - done) * self.finest ** done


# As the authors run it: guided diffusion respaced to 100 ancestral steps.
PUBLISHED = ILVRConfig(corrects='noisy', down=32, until=0.2, sampler='ancestral', steps=100)


def corrected(reference: Tensor, config: ILVRConfig, mask: Tensor | None = None) -> Hook:
    """A clean_hook for `samplers.sample`. reference (B,3,H,W) in [-1,1]; mask (B,1,H,W) or (1,1,H,W) in [0,1], 1 where the
    reference acts."""
    def hook(clean: Tensor, step: Step) -> Tensor:
        left = (step.count - 1 - step.index) / step.count
        if not config.until <= left <= config.begin:
            return clean
        return clean + known(projected, reference - clean, config.factor(left), mask)
    return hook


def published(reference: Tensor, config: ILVRConfig, mask: Tensor | None = None) -> Hook:
    """A hook for `samplers.sample`; arguments as `corrected`. Like the authors' code it takes the reference at the noise level
    from which the step started, not at that which it reached, and leaves the last step alone."""
    def hook(x: Tensor, step: Step) -> Tensor:
        left = (step.count - 1 - step.index) / step.count
        if not config.until < left <= config.begin:
            return x
        noise = torch.randn(x.shape, generator=step.generator, device=x.device, dtype=x.dtype)
        return x + known(low_pass, noised(reference, noise, step.alpha) - x, config.factor(left), mask)
    return hook


def mixed(references: Tensor, weights: list[float]) -> Tensor:
    """(R,...,3,H,W) -> (...,3,H,W): the image whose low-pass is that of all references, weighted. ValueError where the weights
    do not fit."""
    if len(weights) != len(references) or sum(weights) <= 0 or min(weights) < 0:
        raise ValueError(f'{len(references)} references want as many weights, none below 0 and not all 0')
    return torch.einsum('r,r...->...', references.new_tensor(weights) / sum(weights), references)


def refine(denoiser: Denoiser, reference: Tensor, config: ILVRConfig, *, mask: Tensor | None = None,
           embed: Callable[[Tensor], Tensor] | None = None, identity: Tensor | None = None,
           generator: torch.Generator | None = None, callback: Callable[[Step], None] | None = None) -> Tensor:
    """One sample for each reference (B,3,H,W) in [-1,1]: same shape and range.

    mask: as in `corrected`. embed, identity (B,D): with config.id_guidance, the embedder and whom the samples are to show.
    """
    if config.id_guidance:
        denoiser = IdentityGuidance(denoiser, embed, identity, strength=config.id_guidance, through=config.through)
    hooks = {'clean_hook': corrected} if config.corrects == 'clean' else {'hook': published}
    noise = torch.randn(reference.shape, generator=generator, device=reference.device, dtype=reference.dtype)
    return sample(denoiser, scheduler(config.sampler, denoiser.schedule), noise, None, config.steps, generator=generator,
                  callback=callback, eta=config.eta,
                  **{name: hook(reference, config, mask) for name, hook in hooks.items()}).clamp(-1, 1)
