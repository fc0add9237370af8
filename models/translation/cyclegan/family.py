"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593), and the form of it that a study of faces and anime faces found to work: SAGAN
attention in the late layers of both networks.

| loss          | group          | formula                                                     | paper       |
| ------------- | -------------- | ----------------------------------------------------------- | ----------- |
| adversarial   | generators     | models.losses.adversarial, both directions added            | eq. 1       |
| cycle         | generators     | mean abs(a2b2a(a) - a) + mean abs(b2a2b(b) - b)             | eq. 2       |
| identity      | generators     | mean abs(a2b(b) - b) + mean abs(b2a(a) - a)                 | section 5.2 |
| discriminator | discriminators | loss on real images + loss on fakes of the pool, both added | eq. 1       |
| penalty       | discriminators | E(abs(grad) - 1)^2 on mixes of the two, both added          | WGAN-GP     |

The generators go first, and the discriminators judge what they drew then.
"""
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.blocks.patch import PatchDiscriminator, check_patches
from models.blocks.spectral import trainable_parameters
from models.losses.adversarial import (
    Adversary,
    accuracy,
    clip_weights,
    discriminator_on_fake,
    discriminator_on_real,
    generator_loss,
    gradient_penalty,
)
from models.translation.cyclegan.networks import AttentionDiscriminator, AttentionGenerator
from models.translation.generators import ResNetGenerator, UNetGenerator
from models.translation.image_pool import ImagePool
from models.translation.translator import Translator


class CycleGANConfig(FamilyConfig):
    """The defaults are the published networks.

    size: side of the images: 64 for `attention`, otherwise a multiple of 4, and of 2^downs for `unet`. generator, discriminator:
    which networks; `patch` is the 70x70 patch discriminator where discriminator_layers is 3. width, discriminator_width: channels
    of their first layers. blocks: of `resnet`. downs: of `unet`. dropout: in both of these. latent: length of the vector in
    `attention`; attention: whether its two networks have attention at all. spectral: spectral norm of the discriminators, and of
    the generator `attention`. adversary: form of the game; wgan clips the discriminators' weights to -clip..clip where the
    penalty has no weight. pool: past fakes per domain that the discriminators see again, 0 for none.
    """

    size: int = 256
    generator: Literal['resnet', 'unet', 'attention'] = 'resnet'
    width: int = 64
    blocks: int = 9
    downs: int = 8
    dropout: float = 0.0
    discriminator: Literal['patch', 'attention'] = 'patch'
    discriminator_width: int = 64
    discriminator_layers: int = 3
    attention: bool = True
    latent: int = 100
    spectral: bool = False
    adversary: Adversary = 'lsgan'
    clip: float = Field(0.01, gt=0)
    pool: int = Field(50, ge=0)
    weights: dict[str, float] = {'adversarial': 1.0, 'cycle': 10.0, 'identity_mapping': 5.0, 'discriminator': 0.5, 'penalty': 0.0}

    def ignored(self) -> dict[str, str]:
        attention = 'attention' in (self.generator, self.discriminator)
        clipped = self.adversary == 'wgan' and not self.is_active('penalty')
        return {
            **needing('model.generator=resnet', self.generator == 'resnet', 'blocks'),
            **needing('model.generator=unet', self.generator == 'unet', 'downs'),
            **needing('model.generator=resnet or unet', self.generator != 'attention', 'dropout'),
            **needing('model.generator=attention', self.generator == 'attention', 'latent'),
            **needing('model.generator=attention or model.discriminator=attention', attention, 'attention'),
            **needing('model.discriminator=patch', self.discriminator == 'patch', 'discriminator_layers'),
            **needing('model.adversary=wgan without a weight of penalty', clipped, 'clip'),
            **needing('a weight of discriminator', self.is_active('discriminator'), 'pool'),
            **needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary'),
        }

    def check(self) -> None:
        """ValueError, one sentence, where the size does not suit the networks."""
        if 'attention' in (self.generator, self.discriminator) and self.size != 64:
            raise ValueError(f'the attention networks are made for size 64, not {self.size}: set size to 64, or generator to '
                             'resnet and discriminator to patch')
        cell = {'resnet': 4, 'unet': 2 ** self.downs, 'attention': 64}[self.generator]
        if self.size % cell:
            raise ValueError(f'size {self.size} does not suit the generator {self.generator}: take a multiple of {cell}')
        if self.discriminator == 'patch':
            check_patches(self.size, self.discriminator_layers)

    def build_generator(self) -> nn.Module:
        if self.generator == 'attention':
            return AttentionGenerator(self.width, self.latent, attention=self.attention, spectral=self.spectral)
        if self.generator == 'unet':
            return UNetGenerator(self.width, self.downs, norm='instance', dropout=self.dropout)
        return ResNetGenerator(self.width, self.blocks, dropout=self.dropout)

    def build_discriminator(self) -> nn.Module:
        if self.discriminator == 'attention':
            return AttentionDiscriminator(self.discriminator_width, attention=self.attention, spectral=self.spectral)
        return PatchDiscriminator(3, self.discriminator_width, self.discriminator_layers, spectral=self.spectral)


class CycleGAN(Translator):
    """Two generators and two discriminators, a discriminator being named after the domain that it judges."""

    def __init__(self, config: CycleGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        config.check()
        draw = partial(nn.init.normal_, std=0.02)
        self.a2b, self.b2a = (initialize(config.build_generator(), draw) for _ in range(2))
        self.discriminator_a, self.discriminator_b = (initialize(config.build_discriminator(), draw) for _ in range(2))
        self.pools = {'a': ImagePool(config.pool), 'b': ImagePool(config.pool)}

    def param_groups(self):
        return {'generators': trainable_parameters(self.a2b, self.b2a),
                'discriminators': trainable_parameters(self.discriminator_a, self.discriminator_b)}

    def ema_modules(self):
        return {'a2b': self.a2b, 'b2a': self.b2a}

    def render(self, images, direction, reference, generator):
        return {'a2b': self.a2b, 'b2a': self.b2a}[direction](images)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        shown = super().panel(batch)
        return {**shown, 'a2b2a': self.translate(shown['a2b'], 'b2a')}

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self.generator_losses(batch, cache) if group == 'generators' else self.discriminator_losses(batch, cache)

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        a, b, losses = batch.a, batch.b, {}
        if self.is_active('identity_mapping'):  # instance norms know no batch, so that one pass serves two purposes
            fake_b, same_b = self.a2b(torch.cat([a, b])).chunk(2)
            fake_a, same_a = self.b2a(torch.cat([b, a])).chunk(2)
            losses['identity_mapping'] = F.l1_loss(same_b, b) + F.l1_loss(same_a, a)
        else:
            fake_b, fake_a = self.a2b(a), self.b2a(b)
        cache['fakes'] = fake_a.detach(), fake_b.detach()
        if self.is_active('adversarial'):
            kind = self.config.adversary
            losses['adversarial'] = generator_loss(kind, [self.discriminator_a(fake_a)]) + generator_loss(
                kind, [self.discriminator_b(fake_b)]
            )
        if self.is_active('cycle'):
            losses['cycle'] = F.l1_loss(self.b2a(fake_b), a) + F.l1_loss(self.a2b(fake_a), b)
        return losses

    def discriminator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        fakes = cache.get('fakes')
        if fakes is None:
            with torch.no_grad():
                fakes = self.b2a(batch.b), self.a2b(batch.a)
        if self.training:
            fakes = [pool.exchange(fake) for pool, fake in zip(self.pools.values(), fakes)]
        losses: dict[str, Tensor] = {}
        for domain, real, fake in zip('ab', (batch.a, batch.b), fakes):
            for name, loss in self.judged(domain, real, fake).items():
                losses[name] = losses.get(name, 0) + loss
        return losses

    def judged(self, domain: str, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The losses of one discriminator for images (B,3,H,W)."""
        discriminator, kind, losses = {'a': self.discriminator_a, 'b': self.discriminator_b}[domain], self.config.adversary, {}
        if self.is_active('discriminator'):
            on_real, on_fake = discriminator(torch.cat([real, fake])).chunk(2)
            losses['discriminator'] = discriminator_on_real(kind, [on_real]) + discriminator_on_fake(kind, [on_fake])
            right = accuracy([on_real], [on_fake], threshold=0.5 if kind == 'lsgan' else 0.0)
            self.note(**{f'discriminator_{domain}_right_on_{what}': share for what, share in zip(('real', 'fake'), right)})
        if self.is_active('penalty'):
            losses['penalty'] = gradient_penalty(lambda mix: [discriminator(mix)], real, fake)
        return losses

    def after_update(self, group: str) -> None:
        if group == 'discriminators' and self.config.adversary == 'wgan' and not self.is_active('penalty'):
            clip_weights(self.discriminator_a, self.config.clip)
            clip_weights(self.discriminator_b, self.config.clip)

    def memory(self) -> dict[str, Tensor]:
        return {name: torch.stack(pool.images).cpu() for name, pool in self.pools.items() if pool.images}

    def load_extra_state(self, memory: dict[str, Tensor]) -> None:
        device = next(self.parameters()).device
        for name, images in memory.items():
            self.pools[name].images = list(images.to(device))
