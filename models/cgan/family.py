"""Conditional GAN for face swapping after SimSwap (Chen et al. 2020), with the self-attention of SAGAN (Zhang et al. 2019).

Its losses beside those of models.swap.family, with the weights of SimSwap's published training code (0: it has no such loss):

| loss | group | formula | published | source |
| --- | --- | --- | --- | --- |
| id | generator | 1 - cosine, or its hinge, or distilled | 30 | SimSwap eq. 3 |
| reconstruction | generator | mean abs(swap - target), same person | 10 | SimSwap eq. 5 |
| adversarial | generator | models.losses.adversarial, by `adversary` | 1 | SimSwap eq. 6 |
| feature_matching | generator | L1 of the discriminator's `matched` deepest maps of swap and target | 10 | SimSwap eq. 8 |
| cycle | generator | mean abs(swapped back to the target's person - target) | 0 | Zhu 2017 eq. 2 |
| classes | generator | cross entropy of the discriminator's guess at the source's person | 0 | Odena 2017 |
| discriminator | discriminator | loss on real and on swapped images, by `adversary` | 1 | SimSwap eq. 6 |
| gradient_penalty | discriminator | (slope on mixes - 1)^2 | 0 | Gulrajani 2017 |
| r1 | discriminator | slope^2 / 2 on real images, every `lazy` steps, times `lazy` | 0 | Mescheder 2018 |
| discriminator_classes | discriminator | cross entropy of its guess at a real image's person | 0 | Odena 2017 |

The discriminator's real images are the targets: what surrounds the face is then alike on both sides and tells it nothing.

Known failures and where they show: `id_source` flat and `id_target` high in the journal (the target is redrawn),
`id_source` falling late (the identity fades), `real_right` and `fake_right` near 1 (the discriminator has won); each is said in
words as well. Norms differ between training and inference only where `norm: batch` asks for it.
"""
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

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
from models.swap.family import SwapFamily, SwapFamilyConfig


class CGANConfig(SwapFamilyConfig):
    """generator, discriminator: their own configs; both take the size given here, and the generator, where it wants any condition
    channels, as many as there are. adversary: kind of the game. id_loss_form: of the loss `id`; threshold in cosine for the
    hinge, temperature for the distilled form. matched: how many of the discriminator's deepest maps are compared. clip: largest
    weight of the discriminator (WGAN), 0 for none. lazy: steps from one R1 penalty to the next. mirrored: a trained family's swap
    is, but for its finest details, the mean of two, one of them drawn in the mirror: twice the work, a closer identity
    similarity."""

    size: int = 96
    generator: GeneratorConfig = GeneratorConfig(
        fold=4, widths=(80, 160), blocks=4, decoder_blocks=1, id_dim=128, style=128, norm='group', value_range='signed',
        tanh=False, attention=(24,), condition_channels=1, background_image=True, skips='background_image')
    discriminator: DiscriminatorConfig = PatchConfig(
        width=48, levels=3, scales=1, norm='none', spectral=True, value_range='signed'
    )
    adversary: Adversary = 'hinge'
    id_loss_form: Literal['cosine', 'hinge', 'distilled'] = 'cosine'
    threshold: float = Field(0.2875, ge=-1, le=1)
    temperature: float = Field(0.1, gt=0)
    matched: int = Field(1, ge=1)
    clip: float = Field(0.0, ge=0)
    lazy: int = Field(16, ge=1, le=32)
    mirrored: bool = False
    weights: dict[str, float] = {
        'id': 8.0, 'reconstruction': 8.0, 'edges': 8.0, 'background': 8.0, 'perceptual': 2.0, 'parsing': 2.0,
        'landmarks': 0.0, 'shading': 8.0, 'contrast': 0.0, 'total_variation': 0.0, 'distillation': 0.0,
        'id_encoder': 0.0, 'id_drift': 0.0,
        'adversarial': 1.0, 'feature_matching': 2.0, 'cycle': 0.0, 'classes': 0.0, 'discriminator': 1.0, 'gradient_penalty': 0.0,
        'r1': 0.0, 'discriminator_classes': 0.0}

    def ignored(self) -> dict[str, str]:
        form = self.id_loss_form if self.is_active('id') else None
        classes = self.is_active('classes', 'discriminator_classes')
        return {
            **super().ignored(),
            **needing('a weight of identity', form, 'id_loss_form'),
            **needing('model.id_loss_form=hinge', form == 'hinge', 'threshold'),
            **needing('model.id_loss_form=distilled', form == 'distilled', 'temperature'),
            **needing('a weight of feature_matching', self.is_active('feature_matching'), 'matched'),
            **needing('a weight of r1', self.is_active('r1'), 'lazy'),
            **needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary'),
            **needing('a weight of classes or discriminator_classes', classes, 'discriminator.classes'),
            **dict.fromkeys(('generator.size', 'discriminator.size'), 'model.size holds for both networks'),
        }


class CGAN(SwapFamily):
    """Swaps faces in the template `face`; the perception needs an identity encoder, a teacher and, for parsing, a parser."""

    config: CGANConfig

    def __init__(self, config: CGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        condition_channels = config.condition_channels if config.generator.condition_channels else 0
        update = {'size': config.size, 'condition_channels': condition_channels}
        self.generator = Generator(config.generator.model_copy(update=update))
        self.discriminator = build_discriminator(config.discriminator.model_copy(update={'size': config.size}))

    def param_groups(self):
        return {'generator': list(self.generator.parameters()), 'discriminator': self.discriminator.learned()}

    def ema_modules(self):
        return {'generator': self.generator}

    def after_update(self, group: str) -> None:
        if group == 'discriminator' and self.config.clip:
            clip_weights(self.discriminator, self.config.clip)

    def id_similarity(self, identity: Tensor, wanted: Tensor) -> Tensor:
        if self.config.id_loss_form == 'hinge':
            return hinge_id_loss(identity, wanted, threshold=self.config.threshold)
        if self.config.id_loss_form == 'distilled':
            return distillation_id_loss(identity, wanted, temperature=self.config.temperature)
        return cosine_id_loss(identity, wanted)

    def draw(self, target: Tensor, identity: Tensor, shape: Tensor, background_image: Tensor) -> tuple[Tensor, Tensor | None]:
        """The swap (B,3,H,W) and, where the generator predicts it, the mask (B,1,H,W) of what it drew."""
        takes = self.generator.config
        made = self.generator.swap(target, identity, shape=shape if takes.condition_channels else None,
                                   background_image=background_image if takes.background_image else None)
        return made if takes.mask else (made, None)

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        losses = self._generator_losses if group == 'generator' else self._discriminator_losses
        return losses(batch, step, cache)

    def _generator_losses(self, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        labels, mixture = self.labels(batch), self.mixture(batch)
        identity = mixture(self.identities(batch))
        shape, background_image, face = self.conditions(batch.target, labels)
        swap = self.draw(batch.target, identity, shape, background_image)[0]
        cache['swap'] = swap.detach()
        losses = self.swap_losses(swap, batch, labels, face, identity, mixture, step)
        if any(map(self.is_active, ('adversarial', 'feature_matching', 'classes'))):
            losses |= self._judged(swap, batch)
        if self.is_active('cycle'):
            with torch.no_grad():
                own = self.perception.id_encoder(batch.target)
            losses['cycle'] = F.l1_loss(self.draw(swap, own, shape, background_image)[0], batch.target)
        return losses

    def _judged(self, swap: Tensor, batch: SwapBatch) -> dict[str, Tensor]:
        """What the discriminator says of the swaps (B,3,H,W)."""
        verdict, losses = self.discriminator(swap), {}
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss(self.config.adversary, verdict.logits)
        if self.is_active('feature_matching'):
            with torch.no_grad():
                answers = self.discriminator(batch.target).features[-self.config.matched:]
            pairs = zip(verdict.features[-self.config.matched:], answers, strict=True)
            losses['feature_matching'] = torch.stack([F.l1_loss(made, answer) for made, answer in pairs]).mean()
        if self.is_active('classes'):
            losses['classes'] = self._named(verdict.classes, batch.source_label)
        return losses

    def _discriminator_losses(self, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        swap = cache['swap'] if 'swap' in cache else self._swap_of(batch)
        real, made, losses = self.discriminator(batch.target), self.discriminator(swap), {}
        if self.is_active('discriminator'):
            kind = self.config.adversary
            losses['discriminator'] = discriminator_on_real(kind, real.logits) + discriminator_on_fake(kind, made.logits)
        if self.is_active('gradient_penalty'):
            losses['gradient_penalty'] = gradient_penalty(lambda mix: self.discriminator(mix).logits, batch.target, swap)
        if self.is_active('r1') and step % self.config.lazy == 0:
            losses['r1'] = self.config.lazy * r1_penalty(lambda images: self.discriminator(images).logits, batch.target)
        if self.is_active('discriminator_classes'):
            losses['discriminator_classes'] = self._named(real.classes, batch.target_label)
        right = accuracy(real.logits, made.logits, threshold=0.5 if self.config.adversary == 'lsgan' else 0.0)
        self.note(real_right=right[0], fake_right=right[1])
        return losses

    def _named(self, logits: Tensor | None, person: Tensor | None) -> Tensor:
        """Cross entropy of guesses (B,N) with the persons (B,)."""
        if logits is None or person is None or person.max() >= logits.shape[1]:
            have = 'no head for them' if logits is None else f'{logits.shape[1]} of them'
            most = 'names none' if person is None else f'counts up to {int(person.max()) + 1}'
            raise ValueError(
                f'the losses classes and discriminator_classes want to know the persons: the discriminator has {have} and '
                f'the data {most}; set model.discriminator.classes to their number, or these weights to 0'
            )
        return F.cross_entropy(logits, person)

    def _swap_of(self, batch: SwapBatch) -> Tensor:
        """(B,3,H,W) of a batch that the generator has not rendered in this step, without gradient."""
        with torch.no_grad():
            shape, background_image, _ = self.conditions(batch.target, self.labels(batch))
            return self.draw(batch.target, self.identities(batch), shape, background_image)[0]

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        target, labels, identity = batch.target, self.labels(batch), self.identities(batch)
        if self.config.mirrored:
            opposite = torch.tensor(MIRRORED_IDS, device=labels.device)[labels]
            target, labels = torch.cat([target, target.flip(3)]), torch.cat([labels, opposite.flip(2)])
            identity = torch.cat([identity, identity])
        shape, background_image, _ = self.conditions(target, labels)
        swap = self.draw(target, identity, shape, background_image)[0]
        if self.config.mirrored:
            own, other = swap.unflatten(0, (2, -1)).unbind()  # not by the batch's size, which an exported network leaves open
            swap = _both(own, other.flip(3))
        return swap.clamp(-1, 1)

    @torch.no_grad()
    def panel(self, batch: SwapBatch) -> dict[str, Tensor]:
        columns = super().panel(batch)
        if self.generator.config.mask:
            shape, background_image, _ = self.conditions(batch.target, self.labels(batch))
            mask = self.draw(batch.target, self.identities(batch), shape, background_image)[1]
            columns['mask'] = (2 * mask - 1).expand(-1, 3, -1, -1)
        return columns


def _both(first: Tensor, second: Tensor) -> Tensor:
    """The mean of two images (B,3,H,W), but for the details of the first that three means over 3x3 take away: those of two
    images do not lie upon one another."""
    coarse = (first - second) / 2
    for _ in range(3):
        coarse = F.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
    return first - coarse
