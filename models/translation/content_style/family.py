"""Content and style disentanglement, the common base of MUNIT and SATNet.

An image has a content code c of a space that both domains share and a style code s of its own domain. A translation combines the
content with a style of the target domain, sampled from N(0,1) or encoded from a reference image.

| loss           | group          | formula, sum over both domains                                                        |
| -------------- | -------------- | ------------------------------------------------------------------------------------- |
| adversarial    | generators     | models.losses.adversarial, sum over the discriminator's scales                        |
| reconstruction | generators     | L1 of decode(c, s) and the image                                                      |
| style          | generators     | L1 of the style encoded from a translation and the sampled style                      |
| content        | generators     | L1 of the content encoded from a translation and c                                    |
| cycle          | generators     | L1 of decode(content encoded from the translation, s) and the image                   |
| perceptual     | generators     | mean square of translation - source in instance-normalized VGG-16 maps relu5_3        |
| discriminator  | discriminators | models.losses.adversarial, sum over the scales                                        |

The generators are updated first; the discriminators are trained on the translations of that update. VGG-16 has the weights of
torchvision, not those of Caffe as in the publication.
"""
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.blocks.spectral import trainable_parameters
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.translation.content_style.networks import ScaleDiscriminator, StyleGenerator
from models.translation.translator import Translator

_PERCEPTUAL_LAYER = 'relu5_3'


class ContentStyleConfig(FamilyConfig):
    """Networks of MUNIT and SATNet; the defaults are those of MUNIT."""

    size: int = Field(256, description='side of the images in pixels, a multiple of 4')
    width: int = Field(64, description='channels of the first layer of encoders')
    style: int = Field(8, ge=1, description='length of a style code')
    hidden: int = Field(256, description='width of the MLP from a style to the scales and shifts of the decoder')
    residuals: int = Field(4, description='residual blocks of content encoder and decoder each')
    discriminator_width: int = Field(64, description="channels of the discriminators' first layer")
    discriminator_layers: int = Field(4, description='halvings of each discriminator')
    scales: int = Field(3, ge=1, description='discriminators per domain, each at half the resolution of the one before')
    adversary: Adversary = Field('lsgan', description='form of the adversarial loss')
    attention: bool = Field(False, description='self-attention in generators and discriminators')
    sn: bool = Field(False, description='spectral normalization of the discriminators')

    def networks(self) -> set[str]:
        return {'vgg'} if self.is_active('perceptual') else set()

    def ignored(self) -> dict[str, str]:
        return needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary')

    def check(self) -> None:
        """Check that the size suits the networks.

        Raises:
            ValueError: it does not.
        """
        min_size = 2 ** (self.discriminator_layers + self.scales - 1)
        if self.size % 4 or self.size < min_size:
            raise ValueError(
                f'size {self.size} does not suit {self.scales} scales of {self.discriminator_layers} layers; a multiple '
                f'of 4 from {min_size} on does'
            )


class ContentStyle(Translator):
    """Auto-encoders `gen` and discriminators `dis` of domain a and b, with the names of the published checkpoints."""

    styled = True
    config: ContentStyleConfig

    def __init__(self, config: ContentStyleConfig, perception: Perception | None):
        super().__init__(config, perception)
        config.check()
        self.gen = nn.ModuleDict({domain: initialize(
            StyleGenerator(config.width, config.style, config.hidden, config.residuals, attention=config.attention),
            nn.init.kaiming_normal_) for domain in 'ab'})
        self.dis = nn.ModuleDict({domain: initialize(
            ScaleDiscriminator(config.discriminator_width, config.discriminator_layers, config.scales, sn=config.sn,
                               attention=config.attention),
            partial(nn.init.normal_, std=0.02)) for domain in 'ab'})

    def autoencoder(self, domain: str) -> StyleGenerator:
        """The auto-encoder of a domain, 'a' or 'b'."""
        return cast(StyleGenerator, self.gen[domain])

    def compile(self, **options: Any) -> None:
        """torch.compile of the submodules whose forward is called."""
        for part in [*(part for network in self.gen.values() for part in network.children()), *self.dis.values()]:
            part.compile(**options)

    def param_groups(self) -> dict[str, list[Parameter]]:
        self.require('vgg', 'perceptual')
        return {'generators': trainable_parameters(self.gen), 'discriminators': trainable_parameters(self.dis)}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'generators': self.gen}

    def sample_style(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A style from N(0,1) per image: (B,style,1,1)."""
        return torch.randn(len(images), self.config.style, 1, 1, generator=generator, device=images.device, dtype=images.dtype)

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        source, target = self.autoencoder(direction[0]), self.autoencoder(direction[-1])
        style = self.sample_style(images, generator) if reference is None else target.enc_style(reference)
        return target.decode(source.enc_content(images), style)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        return {**super().panel(batch), 'a2b like b': self.translate(batch.a, 'a2b', reference=batch.b),
                'b2a like a': self.translate(batch.b, 'b2a', reference=batch.a)}

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self.generator_losses(batch, cache) if group == 'generators' else self.discriminator_losses(batch, cache)

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of the auto-encoders; the translations (B,3,H,W) into a and b are cached as `fakes`."""
        images = {'a': batch.a, 'b': batch.b}
        codes = {domain: self.autoencoder(domain).encode(image) for domain, image in images.items()}
        styles = {domain: self.sample_style(image) for domain, image in images.items()}
        fakes: dict[str, Tensor] = {}
        losses: dict[str, Tensor] = {}
        for domain, other in ('ab', 'ba'):
            (content, style), sampled, decode = codes[domain], styles[domain], self.autoencoder(domain).decode
            if self.is_active('reconstruction'):  # in one pass with the translation into this domain
                reconstruction, fakes[domain] = decode(torch.cat([content, codes[other][0]]),
                                                       torch.cat([style, sampled])).chunk(2)
                self._add(losses, 'reconstruction', F.l1_loss(reconstruction, images[domain]))
            else:
                fakes[domain] = decode(codes[other][0], sampled)
        cache['fakes'] = fakes['a'].detach(), fakes['b'].detach()
        for domain, other in ('ab', 'ba'):
            fake = fakes[domain]
            if self.is_active('adversarial'):
                logits = self.dis[domain](fake)
                self._add(losses, 'adversarial', len(logits) * generator_loss(self.config.adversary, logits))
            if self.is_active('content') or self.is_active('cycle'):
                content = self.autoencoder(domain).enc_content(fake)
                if self.is_active('content'):
                    self._add(losses, 'content', F.l1_loss(content, codes[other][0]))
                if self.is_active('cycle'):
                    self._add(losses, 'cycle', F.l1_loss(self.autoencoder(other).decode(content, codes[other][1]), images[other]))
            if self.is_active('style'):
                self._add(losses, 'style', F.l1_loss(self.autoencoder(domain).enc_style(fake), styles[domain]))
            if self.is_active('perceptual'):
                vgg = self.perception.require('vgg', 'perceptual')
                fake_map, source_map = (F.instance_norm(vgg(image, (_PERCEPTUAL_LAYER,))[_PERCEPTUAL_LAYER])
                                        for image in (fake, images[other]))
                self._add(losses, 'perceptual', F.mse_loss(fake_map, source_map))
        return {**losses, **self.additional_losses(batch, fakes, codes)}

    def additional_losses(self, batch: PairBatch, fakes: dict[str, Tensor],
                          codes: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Generator losses of a subclass.

        Args:
            fakes: domain -> translations into it (B,3,H,W).
            codes: domain -> content (B,C,H/4,W/4) and style (B,style,1,1) of its images.
        """
        return {}

    def discriminator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of both discriminators."""
        fakes = cache.get('fakes')
        losses: dict[str, Tensor] = {}
        if not self.is_active('discriminator'):
            return losses
        if fakes is None:
            fakes = self.translate(batch.b, 'b2a'), self.translate(batch.a, 'a2b')
        kind = self.config.adversary
        for domain, real, fake in zip('ab', (batch.a, batch.b), fakes):
            scales = [logits.chunk(2) for logits in self.dis[domain](torch.cat([real, fake]))]
            on_real, on_fake = ([logits[side] for logits in scales] for side in (0, 1))
            self._add(losses, 'discriminator',
                      len(scales) * (discriminator_on_real(kind, on_real) + discriminator_on_fake(kind, on_fake)))
        return losses

    @staticmethod
    def _add(losses: dict[str, Tensor], name: str, value: Tensor) -> None:
        losses[name] = losses[name] + value if name in losses else value
