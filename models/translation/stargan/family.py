"""StarGAN v2 (Choi et al. 2020, arXiv:1912.01865) between photos and drawings: one generator for both directions, with styles.

| loss          | group         | formula                                                                        | paper |
| ------------- | ------------- | ------------------------------------------------------------------------------ | ----- |
| adversarial   | generator     | non-saturating, by the discriminator of the target domain                      | eq. 1 |
| style         | generator     | L1 of the target style and the style encoded from the translation              | eq. 2 |
| diversity     | generator     | minus L1 of two translations in two styles, linearly decayed to 0              | eq. 3 |
| cycle         | generator     | L1 of an image and its translation translated back in the image's own style    | eq. 4 |
| discriminator | discriminator | non-saturating, on real images and on translations                             | eq. 1 |
| r1            | discriminator | models.losses.adversarial.r1_penalty on real images                            | R1    |

In even steps styles are mapped from latents and all networks are trained; in odd steps styles are encoded from other images of
the batch and the generator alone is trained. Two steps are one iteration of the publication, which begins with the discriminator.
"""
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import FACE_PARTS, PARTS, PairBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss, r1_penalty
from models.translation.stargan.networks import DomainDiscriminator, MappingNetwork, StyleEncoder, StyleGenerator
from models.translation.translator import Translator

_DOMAINS = 'ab'
# Labels that pass the high-pass filter at 32 pixels, and at 64 and 128 pixels.
_COARSE_LABELS, _FINE_LABELS = (torch.tensor([PARTS.index(name) for name in names])
                                for names in (FACE_PARTS, ('nose', 'eye_g', 'l_eye', 'r_eye')))
MIN_SIZE_PX = 32


class StarGANConfig(FamilyConfig):
    """Networks and losses of StarGAN v2; the defaults are the published networks for 256 pixels."""

    size: int = Field(256, description='side of the images in pixels, a power of 2 from 32 on')
    width: int = Field(64, description='channels of the first layers')
    cap: int = Field(512, description='largest number of channels, up to which they double with each halving')
    style: int = Field(64, description='length of a style')
    latent: int = Field(16, description='length of a latent')
    mapping: int = Field(512, description='width of the mapping network')
    mapping_lr_scale: float = Field(0.01, gt=0, description="learning rate of the mapping network, relative to the generator's")
    fade: int = Field(200_000, ge=1, description='steps in which the diversity loss decays to 0')
    high_pass: float = Field(0.0, ge=0, description='weight of the high-pass skip connections: 1 for CelebA-HQ, 0 for AFHQ; '
                                                    'their masks come from the face parser, in the publication from landmarks')
    weights: dict[str, float] = Field({
        'adversarial': 1.0,
        'style': 1.0,
        'diversity': 1.0,
        'cycle': 1.0,
        'discriminator': 1.0,
        'r1': 1.0,
    }, description='weight of each loss')

    def networks(self) -> set[str]:
        return {'parser'} if self.high_pass else set()

    def ignored(self) -> dict[str, str]:
        return needing('a weight of diversity', self.is_active('diversity'), 'fade')


class StarGAN(Translator):
    """Translation in both directions, in a sampled style or that of a reference image."""

    styled = True
    config: StarGANConfig

    def __init__(self, config: StarGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        size, widths, domains = config.size, (config.width, config.cap), len(_DOMAINS)
        if size < MIN_SIZE_PX or size & size - 1:
            raise ValueError(f'size {size} does not suit these networks: take a power of 2 from {MIN_SIZE_PX} on')
        self.generator = StyleGenerator(size, config.style, *widths, config.high_pass)
        self.mapping = MappingNetwork(config.latent, config.style, domains, config.mapping)
        self.encoder = StyleEncoder(size, config.style, domains, *widths)
        self.discriminator = DomainDiscriminator(size, domains, *widths)
        initialize(self, partial(nn.init.kaiming_normal_, nonlinearity='relu'))

    def param_groups(self) -> dict[str, list[Parameter]]:
        networks = self.generator, self.mapping, self.encoder
        return {'generator': [parameter for network in networks for parameter in network.parameters()],
                'discriminator': list(self.discriminator.parameters())}

    def lr_scales(self) -> list[tuple[list[Parameter], float]]:
        return [(list(self.mapping.parameters()), self.config.mapping_lr_scale)]

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'generator': self.generator, 'mapping': self.mapping, 'encoder': self.encoder}

    def masks(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """Masks of the high-pass skip connections, coarse and fine, (B,1,H,W) in {0,1}; None without such connections."""
        if not self.config.high_pass:
            return None
        with torch.no_grad():
            labels = self.perception.require('parser').labels(images)[:, None]  # (B,1,H,W)
        coarse, fine = (torch.isin(labels, parts.to(labels.device)).to(images.dtype) for parts in (_COARSE_LABELS, _FINE_LABELS))
        return coarse, fine

    def sample_style(self, domain: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Style of a random latent for each target domain (B,) int64: (B,style)."""
        latent = torch.randn(len(domain), self.config.latent, generator=generator, device=domain.device)
        return self.mapping(latent, domain)

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        domain = torch.full((len(images),), _DOMAINS.index(direction[-1]), device=images.device)
        if reference is None:
            style = self.sample_style(domain, generator)
        else:
            style = self.encoder(reference, domain[:len(reference)]).expand(len(images), -1)
        return self.generator(images, style, self.masks(images))

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        columns = super().panel(batch)
        return {**columns, 'a2b like b': self.translate(batch.a, 'a2b', reference=batch.b),
                'b2a like a': self.translate(batch.b, 'b2a', reference=batch.a)}

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        real = torch.cat([batch.a, batch.b])  # (2B,3,H,W)
        domain = torch.arange(2, device=real.device).repeat_interleave(len(batch))  # (2B,)
        if group == 'generator':
            return self.generator_losses(real, domain, step, cache)
        return self.discriminator_losses(real, domain, step, cache)

    def sample_targets(self, real: Tensor, domain: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Random target domains and styles for the images of a step.

        Args:
            real: (2B,3,H,W), those of domain a before those of b.
            domain: (2B,) int64.
            step: even for styles of latents, odd for styles of reference images, which have no gradient.

        Returns:
            Target domains (2B,) int64 and two styles (2B,style) of each.
        """
        count = len(domain) // 2
        rows = [torch.randint(count, domain.shape, device=domain.device) for _ in range(2)]
        target = torch.randint(2, domain.shape, device=domain.device)
        if step % 2 == 0:
            return target, self.sample_style(target), self.sample_style(target)
        with torch.no_grad():
            return target, *(self.encoder(real[target * count + row], target) for row in rows)

    def generator_losses(self, real: Tensor, domain: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        """Losses of generator, mapping network and style encoder; translations (2B,3,H,W) and their domains are cached as
        `fake`."""
        losses, diversity_scale, masks = {}, max(0.0, 1 - step / self.config.fade), self.masks(real)
        target, style, second_style = self.sample_targets(real, domain, step)
        fake = self.generator(real, style, masks)
        cache['fake'] = fake.detach(), target
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss('vanilla', [self.discriminator(fake, target)])
        with _frozen(self.encoder, step % 2 == 1):
            if self.is_active('style'):
                losses['style'] = F.l1_loss(self.encoder(fake, target), style)
            if self.is_active('cycle'):
                reconstruction = self.generator(fake, self.encoder(real, domain), masks)
                losses['cycle'] = F.l1_loss(reconstruction, real)
        if self.is_active('diversity'):
            with torch.no_grad():
                second_fake = self.generator(real, second_style, masks)
            losses['diversity'] = -diversity_scale * F.l1_loss(fake, second_fake)
        return losses

    def discriminator_losses(self, real: Tensor, domain: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        """Losses of the discriminator."""
        losses, fake = {}, cache.get('fake')
        if self.is_active('discriminator'):
            if fake is None:
                with torch.no_grad():
                    target, style, _ = self.sample_targets(real, domain, step)
                    fake = self.generator(real, style, self.masks(real)), target
            on_real, on_fake = self.discriminator(torch.cat([real, fake[0]]), torch.cat([domain, fake[1]])).chunk(2)
            losses['discriminator'] = discriminator_on_real('vanilla', [on_real]) + discriminator_on_fake('vanilla', [on_fake])
        if self.is_active('r1'):
            losses['r1'] = r1_penalty(lambda images: [self.discriminator(images, domain)], real)
        return losses


@contextmanager
def _frozen(network: nn.Module, frozen: bool) -> Iterator[None]:
    """Context in which, if `frozen`, gradients flow through the network but not to its parameters."""
    trainable = [parameter for parameter in network.parameters() if frozen and parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
