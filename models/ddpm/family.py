"""Conditional denoising diffusion for face swapping: the network learns to take the noise off a target image, told what
surrounds the face, the parsing map, the landmarks, and whose face it is; to swap, it is told of somebody else.

With x0' the clean image that the network's prediction means, a = alphas_cumprod of the noise level:

| loss        | formula                                                  | weight by noise | where                      |
| ----------- | -------------------------------------------------------- | --------------- | -------------------------- |
| noise       | squared error of the prediction (eps, x0 or v)           | `weighting`     | all but the face of a swap |
| id          | 1 - cos(teacher(x0'), teacher(source))                   | 6.75 a (1-a)^2  | swaps                      |
| background  | mean abs(x0' - target) outside the target's face mask    | 1 - a           | told the structure         |
| perceptual  | L1 of the teacher's inner maps of x0' and target         | a               | all but a swap             |
| variational | bound in bits per value, from which learned sigma learns | 1               | all but a swap             |

A sample is a swap where source and target are different people and the identity was told. There the true face is unknown, and
what the noisy image still shows of the target's face is wrong: hence the weight of the identity loss, largest at a = 1/3, where
little of it shows but x0' is a face already. Identity and structure are left out at random, for guidance, and both at once, so
that the same network is an ordinary denoiser without a condition.
"""
import torch
from pydantic import Field
from torch import Tensor

from configs.base import Config, needing
from models.base import Perception
from models.batch import SwapBatch
from models.ddpm.guidance import Guided, background_of
from models.ddpm.id_guidance import IdentityGuidance
from models.ddpm.ilvr import ILVRConfig, corrected
from models.ddpm.networks.unet import Condition, SwapUNet, heat_maps
from models.ddpm.parameterization import Prediction, Schedule, as_prediction, clean_from, noised, split
from models.ddpm.process import Process, Weighting, loss_weight
from models.ddpm.samplers import invert, sample
from models.ddpm.schedules import Sampler, betas, scheduler
from models.losses.background import background_l1
from models.losses.perceptual import perceptual_l1
from models.swap.family import MAPS, SwapFamily, SwapFamilyConfig

_POINTS = 5  # landmarks, one heat map each


class Sampling(Config):
    """How a swap is drawn. steps: evaluations of the network, each of double size unless guidance is 1. eta: noise that DDIM
    adds, 0 to 1. guidance: on the identity that the network is told. towards: strength of the push towards the source in the eyes
    of the identity encoder (IdentityGuidance), 0 for none. background: put the target's back at each step. inversion: share of
    the way that is walked back from the target, instead of starting from noise, so that its pose and light stay; 0 for none.
    down, until: the target's coarse content stays, by ILVR with this factor (0 for not at all), until this share of the way is
    left."""

    sampler: Sampler = 'ddim'
    steps: int = Field(25, ge=1, le=1000)
    eta: float = Field(0.0, ge=0, le=1)
    guidance: float = Field(1.0, ge=0)
    id_guidance: float = Field(0.8, ge=0)
    background: bool = True
    inversion: float = Field(0.0, ge=0, le=1)
    down: float = Field(0.0, ge=0)
    until: float = Field(0.0, ge=0, le=1)

    def ignored(self) -> dict[str, str]:
        return needing('sampler=ddim', self.sampler == 'ddim', 'eta') | needing('down above 0', self.down, 'until')


class DDPMConfig(SwapFamilyConfig):
    """size: side of the images, a multiple of fold * 2^(len(widths) - 1). fold, widths, depth, attention, tokens: see SwapUNet.
    id_dim: length of the identity vector. drop_id, drop_structure, drop_both: shares of the training samples that are
    not told the one, the other, or anything; drop_landmarks: those that are told all but the landmarks. gamma: of the weighting,
    None for the published value."""

    fold: int = 2
    widths: tuple[int, ...] = (64, 96, 128, 160)
    depth: int = 1
    attention: int = 2
    tokens: int = 4
    id_dim: int = 128
    prediction: Prediction = 'v_prediction'
    learned_sigma: bool = False
    schedule: Schedule = 'cosine'
    weighting: Weighting = 'min_snr'
    gamma: float | None = None
    drop_id: float = Field(0.1, ge=0, le=1)
    drop_structure: float = Field(0.1, ge=0, le=1)
    drop_both: float = Field(0.2, ge=0, le=1)
    drop_landmarks: float = Field(0.5, ge=0, le=1)
    sampling: Sampling = Sampling()
    weights: dict[str, float] = {'noise': 1.0, 'id': 0.1, 'background': 0.3, 'perceptual': 0.0, 'variational': 0.0}

    def networks(self) -> set[str]:
        return super().networks() - {'landmarks', 'distillation'}

    def ignored(self) -> dict[str, str]:
        return {**dict.fromkeys(('jitter', 'blend'), 'only cvae and cgan have it'),
                **needing('a weight of noise', self.is_active('noise'), 'weighting'),
                **needing('model.weighting=p2 or min_snr', self.is_active('noise') and self.weighting != 'none', 'gamma')}


class DDPM(SwapFamily):
    """The diffusion family. `denoiser` with the condition None is the unconditional network."""

    def __init__(self, config: DDPMConfig, perception: Perception | None):
        super().__init__(config, perception)
        cell = config.fold * 2 ** (len(config.widths) - 1)
        if config.size % cell:
            raise ValueError(f'size {config.size} does not fit fold {config.fold} and {len(config.widths)} widths: '
                             f'take a multiple of {cell}')
        if config.drop_id + config.drop_structure + config.drop_both > 1:
            raise ValueError('drop_id, drop_structure and drop_both sum to more than 1; lower one of them')
        if self.is_active('variational') and not config.learned_sigma:
            raise ValueError('the loss variational teaches learned sigma; set learned_sigma=true or weights.variational=0')
        self.denoiser = SwapUNet(
            config.size,
            fold=config.fold,
            widths=config.widths,
            depth=config.depth,
            attention=config.attention,
            condition_channels=config.condition_channels + _POINTS,
            id_dim=config.id_dim,
            tokens=config.tokens,
            prediction=config.prediction,
            learned_sigma=config.learned_sigma,
            schedule=config.schedule,
        )
        self.process = Process(betas(config.schedule))

    def param_groups(self):
        return {'denoiser': list(self.parameters())}

    def ema_modules(self):
        return {'denoiser': self.denoiser}

    def condition(self, batch: SwapBatch) -> tuple[Condition, Tensor]:
        """All that the network may be told, and the target's face mask (B,1,H,W)."""
        shape, background_image, face = self.conditions(batch.target, self.labels(batch))
        if batch.target_landmarks is None:
            heat = shape.new_zeros(len(batch), _POINTS, *shape.shape[2:])
        else:
            heat = heat_maps(batch.target_landmarks, self.config.size)
        return Condition(torch.cat([background_image, shape, heat], 1), self.identities(batch)), face

    def told(self, condition: Condition) -> tuple[Condition, Tensor, Tensor]:
        """The condition after chance has left something out, and (B,) bool: whether structure and identity were told."""
        config, device = self.config, condition.identity.device
        lot, landmarks = torch.rand(2, len(condition.identity), device=device)
        alone = config.drop_both + config.drop_structure  # where the lots begin that leave out the identity alone
        structure = lot >= alone
        identity = (lot >= config.drop_both) & ~(structure & (lot < alone + config.drop_id))
        known = torch.cat([condition.structure[:, :-_POINTS],
                           condition.structure[:, -_POINTS:] * (landmarks >= config.drop_landmarks)[:, None, None, None]], 1)
        return Condition(known, condition.identity).masked(structure, identity), structure, identity

    def forward(self, group: str, batch: SwapBatch, step: int) -> dict[str, Tensor]:
        condition, face = self.condition(batch)
        condition, structure, identity = self.told(condition)
        swapped, target, losses = ~batch.same & identity, batch.target, {}

        index = torch.randint(len(self.process.timesteps), (len(batch),), device=target.device)
        alpha, noise = self.process.alpha(index), torch.randn_like(target)
        noisy = noised(target, noise, alpha)
        output, sigma = split(self.denoiser(noisy, index, condition).float(), 3)
        clean = clean_from(self.config.prediction, output, noisy, alpha)

        if self.is_active('noise'):
            error = (output - as_prediction(self.config.prediction, target, noise, alpha)).square()
            known = 1 - _wide(swapped) * self.widened(face)
            weight = loss_weight(self.config.weighting, self.config.prediction, alpha, gamma=self.config.gamma)
            losses['noise'] = (weight * known * error).mean()
        if self.is_active('variational'):
            bound = self.process.variational(target, noisy, clean, sigma, index)
            losses['variational'] = (bound * ~swapped).mean()
        clean = clean.clamp(-1, 1)
        if self.is_active('background'):
            weight = _wide(structure) * (1 - alpha)
            losses['background'] = background_l1(clean, target, 1 - weight * (1 - face))
        if self.is_active('id'):
            losses['id'] = self.unlikeness(clean, batch, condition.identity, alpha, swapped)
        if self.is_active('perceptual'):
            with torch.no_grad():
                answers = self.perception.teacher.maps(target, MAPS)
            losses['perceptual'] = perceptual_l1(self.perception.teacher.maps(clean, MAPS), answers,
                                                alpha[:, 0, 0, 0] * ~swapped)
        return losses

    def unlikeness(self, clean: Tensor, batch: SwapBatch, given: Tensor, alpha: Tensor, chosen: Tensor) -> Tensor:
        """The loss `id` of predicted clean images (B,3,H,W), told the identities given (B,D); mean over those
        chosen, (B,) bool."""
        if not chosen.any():
            return clean.new_zeros(())
        teacher = self.perception.teacher
        with torch.no_grad():
            wanted = given[chosen] if teacher is self.perception.id_encoder else teacher(batch.source[chosen])
        weight = (6.75 * alpha * (1 - alpha).square())[chosen, 0, 0, 0]
        return (weight * (1 - (teacher(clean[chosen]) * wanted).sum(1))).mean()

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None, sampling: Sampling | None = None) -> Tensor:
        """(B,3,H,W): the swaps. sampling: instead of the config's."""
        asked, target = sampling or self.config.sampling, batch.target
        condition, face = self.condition(batch)
        levels = scheduler(asked.sampler, self.config.schedule)
        start = asked.steps - max(1, round(asked.inversion * asked.steps)) if asked.inversion else 0
        if asked.inversion:
            own = Condition(condition.structure, self.perception.id_encoder(target))
            noise = invert(self.denoiser, levels, target, own, asked.steps, start=start)
        else:
            noise = torch.randn(target.shape, generator=generator, device=target.device, dtype=target.dtype)
        inside, denoiser = self.widened(face), Guided(self.denoiser, asked.guidance)
        if asked.id_guidance:
            denoiser = IdentityGuidance(denoiser, lambda clean: self.perception.id_encoder(torch.lerp(target, clean, inside)),
                                       condition.identity, strength=asked.id_guidance)
        hook = background_of(target, inside) if asked.background else None
        coarse = corrected(target, ILVRConfig(down=asked.down, until=asked.until)) if asked.down else None
        return sample(denoiser, levels, noise, condition, asked.steps, hook=hook, clean_hook=coarse,
                      generator=generator, eta=asked.eta, start=start).clamp(-1, 1)


def _wide(chosen: Tensor) -> Tensor:
    """(B,) bool -> (B,1,1,1) float."""
    return chosen.float()[:, None, None, None]
