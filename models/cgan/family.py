"""Conditional GAN for face swapping after SimSwap (Chen et al. 2020), with the self-attention of SAGAN (Zhang et al. 2019).

Losses in addition to those of models.swap.losses, with the weights of SimSwap's published training code, 0 for losses that it
lacks:

| loss | group | formula | published | source |
| --- | --- | --- | --- | --- |
| id | generator | 1 - cosine, its hinge, or its distilled form | 30 | SimSwap eq. 3 |
| reconstruction | generator | mean abs(swap - real), for samples with an expected swap | 10 | SimSwap eq. 5 |
| adversarial | generator | models.losses.adversarial, by `adversary` | 1 | SimSwap eq. 6 |
| feature_matching | generator | L1 of the discriminator's `matched` deepest maps of swap and real | 10 | SimSwap eq. 8 |
| feature_reconstruction | generator | relative L1 of all its maps of swap and real, same samples | 0 | Johnson 2016 eq. 2 |
| cycle | generator | mean abs(swap of the swap to the target's identity - target) | 0 | Zhu 2017 eq. 2 |
| classes | generator | cross entropy of the discriminator's class logits with the source's label | 0 | Odena 2017 |
| discriminator | discriminator | loss on real images and on swaps, by `adversary` | 1 | SimSwap eq. 6 |
| gradient_penalty | discriminator | (gradient norm on interpolations - 1)^2 | 0 | Gulrajani 2017 eq. 3 |
| r1 | discriminator | gradient norm^2 / 2 on real images, every `lazy` steps, times `lazy` | 0 | Mescheder 2018 eq. 9 |
| discriminator_classes | discriminator | cross entropy of its class logits of a real image with its label | 0 | Odena 2017 |

Real images are the expected swaps where they are available, otherwise the targets, so that real and generated images have the
same backgrounds.

Known failures in the journal: `id_source` flat and `id_target` high (the generator copies the target), `id_source` falling late
(the identity is lost), `real_accuracy` and `fake_accuracy` near 1 (the discriminator separates all images).
"""
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import Perception
from models.batch import MIRRORED_IDS, SwapBatch
from models.cgan.discriminators import DiscriminatorConfig, PatchConfig, build_discriminator
from models.cgan.generator import Generator, GeneratorConfig
from models.losses.adversarial import (
    Adversary,
    accuracy,
    clip_weights,
    discriminator_on_fake,
    discriminator_on_real,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)
from models.losses.identity import cosine_id_loss, distillation_id_loss, hinge_id_loss
from models.losses.perceptual import perceptual_l1
from models.swap.conditions import SwapConditions, identity_mixer
from models.swap.family import SwapFamily, SwapFamilyConfig
from models.swap.losses import SWAP_LOSS_WEIGHTS, RenderedSwap, swap_losses


class CGANConfig(SwapFamilyConfig):
    """The CGAN."""

    size: int = Field(96, description='side of the images in pixels')
    generator: GeneratorConfig = Field(GeneratorConfig(
        fold=4, widths=(80, 160), blocks=4, decoder_blocks=1, id_dim=128, style=128, norm='group', value_range='signed',
        tanh=False, attention=(24,), condition_channels=1, background_image=True, skips='background_image',
    ), description='the generator; takes size, and any number of condition channels above 0, from this config')
    discriminator: DiscriminatorConfig = Field(
        PatchConfig(width=48, levels=3, scales=1, norm='none', spectral=True, value_range='signed'),
        description='the discriminator; takes size from this config')
    adversary: Adversary = Field('hinge', description='form of the adversarial losses')
    id_loss_form: Literal['cosine', 'hinge', 'distilled'] = Field('cosine', description='form of the loss id')
    threshold: float = Field(0.2875, ge=-1, le=1, description='cosine above which the hinge form is 0')
    temperature: float = Field(0.1, gt=0, description='temperature of the distilled form')
    matched: int = Field(1, ge=1, description='number of deepest discriminator maps that feature_matching compares')
    clip: float = Field(0.0, ge=0, description='largest weight of the discriminator (WGAN), 0 for no clipping')
    lazy: int = Field(16, ge=1, le=32, description='steps from one R1 penalty to the next')
    mirrored: bool = Field(False, description='generate the mean of a swap and of a swap of the mirrored target, except for the '
                                              'finest details; doubles the time, raises the id similarity')
    weights: dict[str, float] = Field({
        **SWAP_LOSS_WEIGHTS, 'id': 8.0, 'reconstruction': 8.0, 'edges': 8.0, 'background': 8.0, 'perceptual': 2.0,
        'parsing': 2.0, 'shading': 8.0, 'adversarial': 1.0, 'feature_matching': 2.0,
        'feature_reconstruction': 0.0, 'cycle': 0.0, 'classes': 0.0,
        'discriminator': 1.0, 'gradient_penalty': 0.0, 'r1': 0.0, 'discriminator_classes': 0.0,
    }, description='weight of each loss; a loss of weight 0 is not computed')

    def ignored(self) -> dict[str, str]:
        form = self.id_loss_form if self.is_active('id') else None
        classes = self.is_active('classes', 'discriminator_classes')
        return {
            **super().ignored(),
            **needing('a weight of id', form, 'id_loss_form'),
            **needing('model.id_loss_form=hinge', form == 'hinge', 'threshold'),
            **needing('model.id_loss_form=distilled', form == 'distilled', 'temperature'),
            **needing('a weight of feature_matching', self.is_active('feature_matching'), 'matched'),
            **needing('a weight of r1', self.is_active('r1'), 'lazy'),
            **needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary'),
            **needing('a weight of classes or discriminator_classes', classes, 'discriminator.classes'),
            **dict.fromkeys(('generator.size', 'discriminator.size'), 'model.size applies to both networks'),
        }


class CGAN(SwapFamily):
    """Swaps faces in the template `face`; the perception provides an id encoder, a teacher and a parser."""

    config: CGANConfig

    def __init__(self, config: CGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        condition_channels = config.condition_channels if config.generator.condition_channels else 0
        update = {'size': config.size, 'condition_channels': condition_channels}
        self.generator = Generator(config.generator.model_copy(update=update))
        self.discriminator = build_discriminator(config.discriminator.model_copy(update={'size': config.size}))
        id_forms: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            'cosine': cosine_id_loss,
            'hinge': partial(hinge_id_loss, threshold=config.threshold),
            'distilled': partial(distillation_id_loss, temperature=config.temperature),
        }
        self.id_form = id_forms[config.id_loss_form]

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'generator': list(self.generator.parameters()), 'discriminator': self.discriminator.trainable_parameters()}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'generator': self.generator}

    def adapted_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Self-attention is named by the side of its maps, which grows with the images: the k-th smallest side of the file
        becomes the k-th smallest of this generator."""
        prefix = 'generator.attention.'
        stored = sorted({int(name.removeprefix(prefix).split('.')[0]) for name in state if name.startswith(prefix)})
        sides = dict(zip(map(str, stored), map(str, sorted(self.config.generator.attention)), strict=False))

        def renamed(name: str) -> str:
            if not name.startswith(prefix):
                return name
            side, rest = name.removeprefix(prefix).split('.', 1)
            return f'{prefix}{sides.get(side, side)}.{rest}'
        return {renamed(name): value for name, value in state.items()}

    def after_update(self, group: str) -> None:
        if group == 'discriminator' and self.config.clip:
            clip_weights(self.discriminator, self.config.clip)

    def forward_generator(self, target: Tensor, embedding: Tensor, conditions: SwapConditions) -> tuple[Tensor, Tensor | None]:
        """Swaps (B,3,H,W) of targets (B,3,H,W) in [-1,1] for embeddings (B,D), not clamped, and, if the generator predicts
        it, the mask (B,1,H,W) in [0,1], 1 = generated."""
        config = self.generator.config
        return self.generator.swap_and_mask(
            target, embedding, parsing_onehot=conditions.parsing_onehot if config.condition_channels else None,
            background_image=conditions.background_image if config.background_image else None)

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        batch = self.training_batch(batch, cache)
        if group == 'discriminator':
            return self._discriminator_losses(batch, step, cache)
        config, labels = self.config, self.labels(batch)
        mix = identity_mixer(batch, config.blend if self.training else 0.0)
        embedding = mix(self.source_embedding(batch))  # (B,D)
        conditions = self.conditions(batch.target, labels)
        image, _ = self.forward_generator(batch.target, embedding, conditions)  # (B,3,H,W)
        cache['swap'] = image.detach()

        swap = RenderedSwap(image, batch, labels, conditions.face, embedding, self.perception, mix,
                            config.jitter if self.training else 0.0, self.id_form)
        losses = swap_losses(swap, config.weights)
        self.log_swap_metrics(swap, step)
        if any(map(self.is_active, ('adversarial', 'feature_matching', 'feature_reconstruction', 'classes'))):
            losses |= self._adversarial_losses(image, batch)
        if self.is_active('cycle'):
            with torch.no_grad():
                target_embedding = self.perception.id_encoder(batch.target)  # (B,D)
            losses['cycle'] = F.l1_loss(self.forward_generator(image, target_embedding, conditions)[0], batch.target)
        return losses

    def _adversarial_losses(self, swap: Tensor, batch: SwapBatch) -> dict[str, Tensor]:
        """Losses of the generator that depend on the discriminator, for swaps (B,3,H,W)."""
        output, losses = self.discriminator(swap), {}
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss(self.config.adversary, output.logits)
        if self.is_active('feature_matching') or self.is_active('feature_reconstruction'):
            with torch.no_grad():
                real_features = self.discriminator(batch.real).features
            if self.is_active('feature_matching'):
                pairs = list(zip(output.features, real_features, strict=True))[-self.config.matched:]
                losses['feature_matching'] = torch.stack([F.l1_loss(feature, real) for feature, real in pairs]).mean()
            if self.is_active('feature_reconstruction'):
                losses['feature_reconstruction'] = perceptual_l1(output.features, real_features, batch.supervised)
        if self.is_active('classes'):
            losses['classes'] = self._class_loss(output.classes, batch.source_label)
        return losses

    def _discriminator_losses(self, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        swap = cache['swap'] if 'swap' in cache else self._render(batch)
        real, fake, losses = self.discriminator(batch.real), self.discriminator(swap), {}
        if self.is_active('discriminator'):
            kind = self.config.adversary
            losses['discriminator'] = discriminator_on_real(kind, real.logits) + discriminator_on_fake(kind, fake.logits)
        if self.is_active('gradient_penalty'):
            losses['gradient_penalty'] = gradient_penalty(lambda images: self.discriminator(images).logits, batch.real, swap)
        if self.is_active('r1') and step % self.config.lazy == 0:
            losses['r1'] = self.config.lazy * r1_penalty(lambda images: self.discriminator(images).logits, batch.real)
        if self.is_active('discriminator_classes'):
            losses['discriminator_classes'] = self._class_loss(real.classes, batch.real_label)
        threshold = 0.5 if self.config.adversary == 'lsgan' else 0.0
        real_accuracy, fake_accuracy = accuracy(real.logits, fake.logits, threshold=threshold)
        self.log_metrics(real_accuracy=real_accuracy, fake_accuracy=fake_accuracy)
        return losses

    def _class_loss(self, logits: Tensor | None, label: Tensor | None) -> Tensor:
        """Cross entropy of class logits (B,N) with identity labels (B,). Raises ValueError if either is missing or N is too
        small."""
        if logits is None or label is None or label.max() >= logits.shape[1]:
            classes = 'no class head' if logits is None else f'{logits.shape[1]} classes'
            labels = 'no labels' if label is None else f'labels up to {int(label.max())}'
            raise ValueError(f'the losses classes and discriminator_classes need identity labels: the discriminator has '
                             f'{classes} and the data have {labels}; set model.discriminator.classes to the number of '
                             'identities, or these weights to 0')
        return F.cross_entropy(logits, label)

    @torch.no_grad()
    def _render(self, batch: SwapBatch) -> Tensor:
        """(B,3,H,W): the swaps of a batch, not clamped."""
        conditions = self.conditions(batch.target, self.labels(batch))
        return self.forward_generator(batch.target, self.source_embedding(batch), conditions)[0]

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        target, labels, embedding = batch.target, self.labels(batch), self.source_embedding(batch)
        if self.config.mirrored:
            mirrored_labels = torch.tensor(MIRRORED_IDS, device=labels.device)[labels].flip(2)
            target, labels = torch.cat([target, target.flip(3)]), torch.cat([labels, mirrored_labels])  # (2B,...)
            embedding = torch.cat([embedding, embedding])
        swap, _ = self.forward_generator(target, embedding, self.conditions(target, labels))
        if self.config.mirrored:
            swap, mirrored = swap.unflatten(0, (2, -1)).unbind()  # the batch size is dynamic in an exported network
            swap = _coarse_mean(swap, mirrored.flip(3))
        return swap.clamp(-1, 1)

    @torch.no_grad()
    def panel(self, batch: SwapBatch) -> dict[str, Tensor]:
        columns = super().panel(batch)
        if self.generator.config.mask:
            conditions = self.conditions(batch.target, self.labels(batch))
            _, mask = self.forward_generator(batch.target, self.source_embedding(batch), conditions)
            assert mask is not None
            columns['mask'] = (2 * mask - 1).expand(-1, 3, -1, -1)
        return columns


def _coarse_mean(first: Tensor, second: Tensor) -> Tensor:
    """The mean of two images (B,3,H,W) except for the finest details, which are those of the first, as details of two images do
    not align. The coarse part is the result of three means over 3x3 pixels."""
    coarse = (first - second) / 2
    for _ in range(3):
        coarse = F.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
    return first - coarse
