"""StarGAN v2 (Choi et al. 2020, arXiv:1912.01865) between photos and drawings: one generator for all directions, in a style that
comes from a latent or from a reference image.

| loss          | group         | formula                                                             | paper |
| ------------- | ------------- | ------------------------------------------------------------------- | ----- |
| adversarial   | generator     | non-saturating, by the discriminator of the wanted domain           | eq. 1 |
| style         | generator     | L1 between the wanted style and what the style encoder finds        | eq. 2 |
| diversity     | generator     | minus L1 between two translations in two styles; fades out linearly | eq. 3 |
| cycle         | generator     | L1 of an image and its translation brought back with its own style  | eq. 4 |
| discriminator | discriminator | on real images and on translations                                  | eq. 1 |
| r1            | discriminator | models.losses.adversarial.r1_penalty on real images                 | R1    |

Even steps take styles from latents and train all networks, odd steps take them from other images of the batch and train the
generator alone; two steps are one iteration of the publication, which updates the discriminator first.
"""
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import FACE_PARTS, PARTS, PairBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss, r1_penalty
from models.translation.stargan.networks import DomainDiscriminator, MappingNetwork, StyleEncoder, StyleGenerator
from models.translation.translator import Translator

_DOMAINS = 'ab'
# What passes around the bottleneck at 32 pixels, and at 64 and 128.
_COARSE, _FINE = (torch.tensor([PARTS.index(name) for name in names])
                  for names in (FACE_PARTS, ('nose', 'eye_g', 'l_eye', 'r_eye')))


class StarGANConfig(FamilyConfig):
    """The defaults are the published networks for 256 pixels.

    size: side of the images, a power of 2 from 32 on. width: channels of the first layers, which double up to `cap`. style,
    latent, mapping: lengths of style and latent, and width of the mapping network, whose rate is the generator's times
    mapping_lr_scale. fade: steps until the diversity loss has gone. high_pass: 1 for the network of CelebA-HQ, 0 for that of AFHQ;
    its masks come from the perception's face parser, in place of the publication's network of landmarks.
    """

    size: int = 256
    width: int = 64
    cap: int = 512
    style: int = 64
    latent: int = 16
    mapping: int = 512
    mapping_lr_scale: float = Field(0.01, gt=0)
    fade: int = Field(200_000, ge=1)
    high_pass: float = Field(0.0, ge=0)
    weights: dict[str, float] = {
        'adversarial': 1.0,
        'style': 1.0,
        'diversity': 1.0,
        'cycle': 1.0,
        'discriminator': 1.0,
        'r1': 1.0,
    }

    def networks(self) -> set[str]:
        return {'parser'} if self.high_pass else set()

    def ignored(self) -> dict[str, str]:
        return needing('a weight of diversity', self.is_active('diversity'), 'fade')


class StarGAN(Translator):
    """Either direction, in a style that is drawn or taken from a reference."""

    styled = True

    def __init__(self, config: StarGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        size, widths, domains = config.size, (config.width, config.cap), len(_DOMAINS)
        if size < 32 or size & size - 1:
            raise ValueError(f'size {size} does not suit these networks: take a power of 2 from 32 on')
        self.generator = StyleGenerator(size, config.style, *widths, config.high_pass)
        self.mapping = MappingNetwork(config.latent, config.style, domains, config.mapping)
        self.encoder = StyleEncoder(size, config.style, domains, *widths)
        self.discriminator = DomainDiscriminator(size, domains, *widths)
        initialize(self, partial(nn.init.kaiming_normal_, nonlinearity='relu'))

    def param_groups(self):
        drawing = self.generator, self.mapping, self.encoder
        return {'generator': [parameter for network in drawing for parameter in network.parameters()],
                'discriminator': list(self.discriminator.parameters())}

    def lr_scales(self):
        return [(list(self.mapping.parameters()), self.config.mapping_lr_scale)]

    def ema_modules(self):
        return {'generator': self.generator, 'mapping': self.mapping, 'encoder': self.encoder}

    def masks(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """What the high-pass filter lets pass: two (B,1,H,W) in {0,1}, or None where there is no such filter."""
        if not self.config.high_pass:
            return None
        with torch.no_grad():
            labels = self.perception.parser.labels(images)[:, None]
        return tuple(torch.isin(labels, parts.to(labels.device)).to(images.dtype) for parts in (_COARSE, _FINE))

    def sample_style(self, domain: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Of a random latent, for each domain (B,) int64: (B,style)."""
        latent = torch.randn(len(domain), self.config.latent, generator=generator, device=domain.device)
        return self.mapping(latent, domain)

    def render(self, images, direction, reference, generator):
        domain = torch.full((len(images),), _DOMAINS.index(direction[-1]), device=images.device)
        if reference is None:
            style = self.sample_style(domain, generator)
        else:
            style = self.encoder(reference, domain[:len(reference)]).expand(len(images), -1)
        return self.generator(images, style, self.masks(images))

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        shown = super().panel(batch)
        return {**shown, 'a2b like b': self.translate(batch.a, 'a2b', reference=batch.b),
                'b2a like a': self.translate(batch.b, 'b2a', reference=batch.a)}

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        real = torch.cat([batch.a, batch.b])
        own = torch.arange(2, device=real.device).repeat_interleave(len(batch))  # (2B,)
        if group == 'generator':
            return self.generator_losses(real, own, step, cache)
        return self.discriminator_losses(real, own, step, cache)

    def chosen(self, real: Tensor, own: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Wanted domains (2B,) and two styles (2B,style) for each of them; gradients reach the styles of latents only."""
        count = len(own) // 2
        places = [torch.randint(count, own.shape, device=own.device) for _ in range(2)]
        wanted = torch.randint(2, own.shape, device=own.device)
        if step % 2 == 0:
            return wanted, self.sample_style(wanted), self.sample_style(wanted)
        with torch.no_grad():
            return wanted, *(self.encoder(real[wanted * count + place], wanted) for place in places)

    def generator_losses(self, real: Tensor, own: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        losses, left, masks = {}, max(0.0, 1 - step / self.config.fade), self.masks(real)
        wanted, style, other = self.chosen(real, own, step)
        fake = self.generator(real, style, masks)
        cache['fake'] = fake.detach(), wanted
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss('vanilla', [self.discriminator(fake, wanted)])
        with _fixed(self.encoder, step % 2 == 1):
            if self.is_active('style'):
                losses['style'] = F.l1_loss(self.encoder(fake, wanted), style)
            if self.is_active('cycle'):
                back = self.generator(fake, self.encoder(real, own), masks)
                losses['cycle'] = F.l1_loss(back, real)
        if self.is_active('diversity'):
            with torch.no_grad():
                second = self.generator(real, other, masks)
            losses['diversity'] = -left * F.l1_loss(fake, second)
        return losses

    def discriminator_losses(self, real: Tensor, own: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        losses, fake = {}, cache.get('fake')
        if self.is_active('discriminator'):
            if fake is None:
                with torch.no_grad():
                    wanted, style, _ = self.chosen(real, own, step)
                    fake = self.generator(real, style, self.masks(real)), wanted
            on_real, on_fake = self.discriminator(torch.cat([real, fake[0]]), torch.cat([own, fake[1]])).chunk(2)
            losses['discriminator'] = discriminator_on_real('vanilla', [on_real]) + discriminator_on_fake('vanilla', [on_fake])
        if self.is_active('r1'):
            losses['r1'] = r1_penalty(lambda images: [self.discriminator(images, own)], real)
        return losses


@contextmanager
def _fixed(network: nn.Module, on: bool) -> Iterator[None]:
    """Inside, where `on`, gradients pass through the network and leave its parameters alone."""
    learning = [parameter for parameter in network.parameters() if on and parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
