"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593), and its variant for faces and anime faces with SAGAN attention in both networks.

| loss             | group          | formula                                                                   | paper       |
| ---------------- | -------------- | ------------------------------------------------------------------------- | ----------- |
| adversarial      | generators     | models.losses.adversarial, sum over both directions                       | eq. 1       |
| cycle            | generators     | mean abs(b2a(a2b(a)) - a) + mean abs(a2b(b2a(b)) - b)                     | eq. 2       |
| identity_mapping | generators     | mean abs(a2b(b) - b) + mean abs(b2a(a) - a)                               | section 5.2 |
| discriminator    | discriminators | loss on real images + loss on images of the pool, sum over both domains   | eq. 1       |
| penalty          | discriminators | E(abs(grad) - 1)^2 on mixtures of real and generated images, both domains | WGAN-GP     |

The generators are updated first; the discriminators are trained on the translations of that update.
"""
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

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

ATTENTION_SIZE_PX = 64  # the only size of the attention networks


class CycleGANConfig(FamilyConfig):
    """Networks and losses of CycleGAN; the defaults are the published networks."""

    size: int = Field(256, description='side of the images in pixels: 64 with attention networks, otherwise a multiple of 4, '
                                       'and of 2^downs for unet')
    generator: Literal['resnet', 'unet', 'attention'] = Field('resnet', description='generator network')
    width: int = Field(64, description="channels of the generator's first layer")
    blocks: int = Field(9, description='residual blocks of the generator resnet')
    downs: int = Field(8, description='halvings of the generator unet')
    dropout: float = Field(0.0, description='probability of dropout in the generators resnet and unet')
    discriminator: Literal['patch', 'attention'] = Field('patch', description='discriminator network')
    discriminator_width: int = Field(64, description="channels of the discriminator's first layer")
    discriminator_layers: int = Field(3, description='halvings of the discriminator patch; 3 make a receptive field of 70 pixels')
    attention: bool = Field(True, description='self-attention in the attention networks')
    latent: int = Field(100, description='length of the bottleneck vector of the generator attention')
    spectral: bool = Field(False, description='spectral normalization of the discriminators and of the generator attention')
    adversary: Adversary = Field('lsgan', description='form of the adversarial loss')
    clip: float = Field(0.01, gt=0, description='largest absolute discriminator weight for wgan without a gradient penalty')
    pool: int = Field(50, ge=0, description='earlier generated images per domain for the discriminators, 0 for none')
    weights: dict[str, float] = Field(
        {'adversarial': 1.0, 'cycle': 10.0, 'identity_mapping': 5.0, 'discriminator': 0.5, 'penalty': 0.0},
        description='weight of each loss')

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
        """Check that the size suits the networks.

        Raises:
            ValueError: it does not.
        """
        if 'attention' in (self.generator, self.discriminator) and self.size != ATTENTION_SIZE_PX:
            raise ValueError(f'the attention networks take size {ATTENTION_SIZE_PX} only, not {self.size}: set size to '
                             f'{ATTENTION_SIZE_PX}, or generator to resnet and discriminator to patch')
        divisor = {'resnet': 4, 'unet': 2 ** self.downs, 'attention': ATTENTION_SIZE_PX}[self.generator]
        if self.size % divisor:
            raise ValueError(f'size {self.size} does not suit the generator {self.generator}: take a multiple of {divisor}')
        if self.discriminator == 'patch':
            check_patches(self.size, self.discriminator_layers)

    def build_generator(self) -> nn.Module:
        """A generator (B,3,H,W) -> (B,3,H,W)."""
        if self.generator == 'attention':
            return AttentionGenerator(self.width, self.latent, attention=self.attention, spectral=self.spectral)
        if self.generator == 'unet':
            return UNetGenerator(self.width, self.downs, norm='instance', dropout=self.dropout)
        return ResNetGenerator(self.width, self.blocks, dropout=self.dropout)

    def build_discriminator(self) -> nn.Module:
        """A discriminator (B,3,H,W) -> logits."""
        if self.discriminator == 'attention':
            return AttentionDiscriminator(self.discriminator_width, attention=self.attention, spectral=self.spectral)
        return PatchDiscriminator(3, self.discriminator_width, self.discriminator_layers, spectral=self.spectral)


class CycleGAN(Translator):
    """Cycle-consistent translation in both directions. A discriminator is named after the domain of its real images."""

    config: CycleGANConfig

    def __init__(self, config: CycleGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        config.check()
        init = partial(nn.init.normal_, std=0.02)
        self.a2b, self.b2a = (initialize(config.build_generator(), init) for _ in range(2))
        self.discriminator_a, self.discriminator_b = (initialize(config.build_discriminator(), init) for _ in range(2))
        self.pools = {'a': ImagePool(config.pool), 'b': ImagePool(config.pool)}

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'generators': trainable_parameters(self.a2b, self.b2a),
                'discriminators': trainable_parameters(self.discriminator_a, self.discriminator_b)}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'a2b': self.a2b, 'b2a': self.b2a}

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return {'a2b': self.a2b, 'b2a': self.b2a}[direction](images)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        columns = super().panel(batch)
        return {**columns, 'a2b2a': self.translate(columns['a2b'], 'b2a')}

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self.generator_losses(batch, cache) if group == 'generators' else self.discriminator_losses(batch, cache)

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of both generators; their translations (B,3,H,W) are cached as `fakes` of domain a and b."""
        a, b, losses = batch.a, batch.b, {}
        if self.is_active('identity_mapping'):  # instance norms treat images separately, so that both share one pass
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
        """Losses of both discriminators. The pools are used in training mode only."""
        fakes = cache.get('fakes')
        if fakes is None:
            with torch.no_grad():
                fakes = self.b2a(batch.b), self.a2b(batch.a)
        if self.training:
            fakes = [pool.exchange(fake) for pool, fake in zip(self.pools.values(), fakes)]
        losses: dict[str, Tensor] = {}
        for domain, real, fake in zip('ab', (batch.a, batch.b), fakes):
            for name, loss in self.domain_losses(domain, real, fake).items():
                losses[name] = losses.get(name, 0) + loss
        return losses

    def domain_losses(self, domain: str, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Losses of the discriminator of one domain, 'a' or 'b', for images (B,3,H,W)."""
        discriminator, kind, losses = {'a': self.discriminator_a, 'b': self.discriminator_b}[domain], self.config.adversary, {}
        if self.is_active('discriminator'):
            on_real, on_fake = discriminator(torch.cat([real, fake])).chunk(2)
            losses['discriminator'] = discriminator_on_real(kind, [on_real]) + discriminator_on_fake(kind, [on_fake])
            accuracies = accuracy([on_real], [on_fake], threshold=0.5 if kind == 'lsgan' else 0.0)
            for name, value in zip(('real', 'fake'), accuracies):
                self.log_metrics(**{f'discriminator_{domain}_{name}_accuracy': value})
        if self.is_active('penalty'):
            losses['penalty'] = gradient_penalty(lambda mixture: [discriminator(mixture)], real, fake)
        return losses

    def after_update(self, group: str) -> None:
        if group == 'discriminators' and self.config.adversary == 'wgan' and not self.is_active('penalty'):
            clip_weights(self.discriminator_a, self.config.clip)
            clip_weights(self.discriminator_b, self.config.clip)

    def extra_state(self) -> dict[str, Tensor]:
        return {name: torch.stack(pool.images).cpu() for name, pool in self.pools.items() if pool.images}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        device = next(self.parameters()).device
        for name, images in state.items():
            self.pools[name].images = list(images.to(device))
