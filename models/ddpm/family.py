"""Conditional denoising diffusion for face swapping.

The denoiser is conditioned on the background, the parsing map, the landmarks and an identity embedding; swapping replaces the
embedding. With x0' the clean image of the prediction and a = alphas_cumprod of the noise level, the losses are:

| loss        | formula                                                    | weight by noise | samples               |
| ----------- | ---------------------------------------------------------- | --------------- | --------------------- |
| noise       | squared error of the prediction (eps, x0 or v)             | `weighting`     | without a swap's face |
| id          | 1 - cos(teacher(x0'), teacher(source))                     | 6.75 a (1-a)^2  | swaps                 |
| background  | mean abs(x0' - real) outside the target's face mask        | 1 - a           | with structure        |
| perceptual  | L1 of the teacher's feature maps of x0' and real           | a               | without swaps         |
| variational | variational bound in bits per value, for the learned sigma | 1               | without swaps         |

The image that is denoised, `real`, is the expected swap where it is available, otherwise the target. A sample is a swap if it has
no expected swap and the identity condition is kept. The noisy image then contains the target's face: the weight of `id` is
largest at a = 1/3, where the noisy image contains little of that face and x0' is recognizable as a face. Identity and structure
are dropped at random, for classifier-free guidance (Ho & Salimans 2022), separately and together, so that the same network is an
unconditional denoiser as well.
"""
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import Config, needing
from models.base import Perception
from models.batch import SwapBatch
from models.ddpm.guidance import Guided, background_of
from models.ddpm.id_guidance import IdentityGuidance
from models.ddpm.ilvr import ILVRConfig, corrected
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.networks.unet import Condition, SwapUNet, heat_maps
from models.ddpm.parameterization import Prediction, Schedule, as_prediction, clean_from, noised, split
from models.ddpm.process import Process, Weighting, loss_weight
from models.ddpm.samplers import invert, sample
from models.ddpm.schedules import Sampler, betas, scheduler
from models.losses.background import background_l1
from models.losses.perceptual import perceptual_l1
from models.swap.family import SwapFamily, SwapFamilyConfig
from models.swap.losses import SWAP_LOSS_WEIGHTS, TEACHER_MAPS, RenderedSwap, swap_losses

_NUM_LANDMARKS = 5  # one heat map each


class Sampling(Config):
    """Settings of the sampler that generates a swap."""

    sampler: Sampler = Field('ddim', description='sampler, a name of models.ddpm.schedules')
    steps: int = Field(25, ge=1, le=1000, description='evaluations of the network, each on two images unless guidance is 1')
    eta: float = Field(0.0, ge=0, le=1, description='fraction of the ancestral noise that DDIM adds')
    guidance: float = Field(1.0, ge=0, description='scale of the classifier-free guidance on the identity, 1 for none')
    id_guidance: float = Field(0.8, ge=0, description="strength of the gradient of the identity encoder (IdentityGuidance), "
                                                      '0 for none')
    background: bool = Field(True, description="replace the background by the target's after each step")
    inversion: float = Field(0.0, ge=0, le=1, description='fraction of the steps that DDIM inverts from the target instead of '
                                                          'starting from noise; keeps pose and light; 0 for none')
    down: float = Field(0.0, ge=0, description="ILVR factor that keeps the target's coarse content, 0 for none")
    until: float = Field(0.0, ge=0, le=1, description='fraction of the steps that remain when ILVR ends')

    def ignored(self) -> dict[str, str]:
        return needing('sampler=ddim', self.sampler == 'ddim', 'eta') | needing('down above 0', self.down, 'until')


class DDPMConfig(SwapFamilyConfig):
    """Config of DDPM. `size` is a multiple of fold * 2^(len(widths) - 1)."""

    fold: int = Field(2, description='power of 2 by which images are folded into channels')
    widths: tuple[int, ...] = Field((64, 96, 128, 160), description='channels at 1/fold, 1/(2 fold), ... of the size')
    depth: int = Field(1, description='residual blocks per resolution')
    attention: int = Field(2, description='number of the coarsest resolutions with attention')
    tokens: int = Field(4, description='tokens into which attention splits the identity embedding')
    id_dim: int = Field(128, description='length of the identity embedding')
    prediction: Prediction = Field('v_prediction', description='what the network predicts: epsilon, sample (x0) or v_prediction')
    learned_sigma: bool = Field(False, description='also predict the variance (Nichol & Dhariwal 2021)')
    schedule: Schedule = Field('cosine', description='noise schedule')
    weighting: Weighting = Field('min_snr', description='weight of the loss `noise` by noise level')
    gamma: float | None = Field(None, description='gamma of the weighting, None for the published value')
    drop_id: float = Field(0.1, ge=0, le=1, description='fraction of the training samples without the identity alone')
    drop_structure: float = Field(0.1, ge=0, le=1, description='fraction of the training samples without the structure alone')
    drop_both: float = Field(0.2, ge=0, le=1, description='fraction of the training samples without any condition')
    drop_landmarks: float = Field(0.5, ge=0, le=1, description='fraction of the training samples without landmarks')
    sampling: Sampling = Field(Sampling(), description='how swaps are sampled')
    weights: dict[str, float] = Field({**SWAP_LOSS_WEIGHTS, 'noise': 1.0, 'id': 0.1, 'background': 0.3, 'variational': 0.0},
                                      description='weight of each loss; a loss of weight 0 is not computed')

    def ignored(self) -> dict[str, str]:
        return {**dict.fromkeys(('jitter', 'blend'), 'a denoiser is not trained with it'),
                **needing('a weight of noise', self.is_active('noise'), 'weighting'),
                **needing('model.weighting=p2 or min_snr', self.is_active('noise') and self.weighting != 'none', 'gamma')}


class DDPM(SwapFamily):
    """Conditional diffusion for face swaps. `denoiser` with the condition None is the unconditional network."""

    config: DDPMConfig

    def __init__(self, config: DDPMConfig, perception: Perception | None):
        super().__init__(config, perception)
        cell_px = config.fold * 2 ** (len(config.widths) - 1)
        if config.size % cell_px:
            raise ValueError(f'size {config.size} does not fit fold {config.fold} and {len(config.widths)} widths: '
                             f'take a multiple of {cell_px}')
        if config.drop_id + config.drop_structure + config.drop_both > 1:
            raise ValueError('drop_id, drop_structure and drop_both sum to more than 1; lower one of them')
        if self.is_active('variational') and not config.learned_sigma:
            raise ValueError('the loss variational trains the learned sigma; set learned_sigma=true or weights.variational=0')
        self.denoiser = SwapUNet(
            config.size,
            fold=config.fold,
            widths=config.widths,
            depth=config.depth,
            attention=config.attention,
            condition_channels=config.condition_channels + _NUM_LANDMARKS,
            id_dim=config.id_dim,
            tokens=config.tokens,
            prediction=config.prediction,
            learned_sigma=config.learned_sigma,
            schedule=config.schedule,
        )
        self.process = Process(betas(config.schedule))

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'denoiser': list(self.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'denoiser': self.denoiser}

    def condition(self, batch: SwapBatch) -> tuple[Condition, Tensor]:
        """The whole condition, and the target's face mask (B,1,H,W)."""
        parsing_onehot, background_image, face = self.conditions(batch.target, self.labels(batch))
        if batch.target_landmarks is None:
            heat = parsing_onehot.new_zeros(len(batch), _NUM_LANDMARKS, *parsing_onehot.shape[2:])
        else:
            heat = heat_maps(batch.target_landmarks, self.config.size)
        return Condition(torch.cat([background_image, parsing_onehot, heat], 1), self.source_embedding(batch)), face

    def drop_conditions(self, condition: Condition) -> tuple[Condition, Tensor, Tensor]:
        """The condition with parts dropped at random, and which samples keep structure and identity, (B,) bool each."""
        config, device = self.config, condition.id_embedding.device
        uniform, uniform_landmarks = torch.rand(2, len(condition.id_embedding), device=device)
        without_structure = config.drop_both + config.drop_structure  # below it the structure is dropped
        keep_structure = uniform >= without_structure
        keep_id = (uniform >= config.drop_both) & ~(keep_structure & (uniform < without_structure + config.drop_id))
        keep_landmarks = _broadcastable(uniform_landmarks >= config.drop_landmarks)
        structure, heat = condition.structure.split([condition.structure.shape[1] - _NUM_LANDMARKS, _NUM_LANDMARKS], 1)
        structure = torch.cat([structure, heat * keep_landmarks], 1)
        return Condition(structure, condition.id_embedding).masked(keep_structure, keep_id), keep_structure, keep_id

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        batch = self.training_batch(batch, cache)
        labels = self.labels(batch)
        condition, face = self.condition(replace(batch, target_parsing=labels))
        condition, keep_structure, keep_id = self.drop_conditions(condition)
        is_swap, real, losses = ~batch.supervised & keep_id, batch.real, {}

        index = torch.randint(len(self.process.timesteps), (len(batch),), device=real.device)
        alpha, noise = self.process.alpha(index), torch.randn_like(real)
        noisy = noised(real, noise, alpha)
        output, sigma = split(self.denoiser(noisy, index, condition).float(), 3)
        clean = clean_from(self.config.prediction, output, noisy, alpha)

        if self.is_active('noise'):
            error = (output - as_prediction(self.config.prediction, real, noise, alpha)).square()
            supervised = 1 - _broadcastable(is_swap) * self.dilated_face(face)
            weight = loss_weight(self.config.weighting, self.config.prediction, alpha, gamma=self.config.gamma)
            losses['noise'] = (weight * supervised * error).mean()
        if self.is_active('variational'):
            bound = self.process.variational(real, noisy, clean, sigma, index)
            losses['variational'] = (bound * ~is_swap).mean()
        clean = clean.clamp(-1, 1)
        if self.is_active('background'):
            weight = _broadcastable(keep_structure) * (1 - alpha)
            losses['background'] = background_l1(clean, real, 1 - weight * (1 - face))
        if self.is_active('id'):
            losses['id'] = self.id_loss(clean, batch, condition.id_embedding, alpha, is_swap)
        if self.is_active('perceptual'):
            with torch.no_grad():
                real_maps = self.perception.teacher.maps(real, TEACHER_MAPS)
            losses['perceptual'] = perceptual_l1(self.perception.teacher.maps(clean, TEACHER_MAPS), real_maps,
                                                 alpha[:, 0, 0, 0] * ~is_swap)
        # The other losses of models.swap are computed on x0' with the same weight at every noise level.
        rendered = RenderedSwap(clean, replace(batch, truth=real, has_truth=~is_swap), labels, face, condition.id_embedding,
                                self.perception)
        return losses | swap_losses(rendered, self.config.weights, exclude=('id', 'background', 'perceptual'))

    def id_loss(self, clean: Tensor, batch: SwapBatch, id_embedding: Tensor, alpha: Tensor, is_swap: Tensor) -> Tensor:
        """Mean of 6.75 a (1-a)^2 (1 - cos(teacher(x0'), teacher(source))) over the swaps; 0 without swaps.

        Args:
            clean: predicted clean images x0', (B,3,H,W).
            id_embedding: identity conditions, (B,D).
            alpha: alphas_cumprod, (B,1,1,1).
            is_swap: (B,) bool.
        """
        if not is_swap.any():
            return clean.new_zeros(())
        teacher = self.perception.teacher
        with torch.no_grad():
            source = id_embedding[is_swap] if teacher is self.perception.id_encoder else teacher(batch.source[is_swap])
        weight = (6.75 * alpha * (1 - alpha).square())[is_swap, 0, 0, 0]
        return (weight * (1 - (teacher(clean[is_swap]) * source).sum(1))).mean()

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None, sampling: Sampling | None = None) -> Tensor:
        """Swaps (B,3,H,W) in [-1,1]. sampling: settings of the sampler; None for those of the config."""
        sampling, target = sampling or self.config.sampling, batch.target
        condition, face = self.condition(batch)
        noise_levels = scheduler(sampling.sampler, self.config.schedule)
        start = sampling.steps - max(1, round(sampling.inversion * sampling.steps)) if sampling.inversion else 0
        if sampling.inversion:
            target_condition = Condition(condition.structure, self.perception.id_encoder(target))
            noise = invert(self.denoiser, noise_levels, target, target_condition, sampling.steps, start=start)
        else:
            noise = torch.randn(target.shape, generator=generator, device=target.device, dtype=target.dtype)
        face = self.dilated_face(face)
        denoiser: Denoiser = Guided(self.denoiser, sampling.guidance)
        if sampling.id_guidance:
            denoiser = IdentityGuidance(denoiser, lambda clean: self.perception.id_encoder(torch.lerp(target, clean, face)),
                                        condition.id_embedding, strength=sampling.id_guidance)
        hook = background_of(target, face) if sampling.background else None
        clean_hook = corrected(target, ILVRConfig(down=sampling.down, until=sampling.until)) if sampling.down else None
        return sample(denoiser, noise_levels, noise, condition, sampling.steps, hook=hook, clean_hook=clean_hook,
                      generator=generator, eta=sampling.eta, start=start).clamp(-1, 1)


def _broadcastable(mask: Tensor) -> Tensor:
    """(B,) bool -> (B,1,1,1) float."""
    return mask.float()[:, None, None, None]
