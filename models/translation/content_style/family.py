"""What MUNIT and SATNet share: an image is a content that both domains know and a style of its own domain; a translation is the
content with another style, drawn from N(0,1) or taken from a reference image. c, s: content and style of an image.

| loss           | group          | formula, both domains added                                                         |
| -------------- | -------------- | ----------------------------------------------------------------------------------- |
| adversarial    | generators     | models.losses.adversarial, summed over the discriminator's scales                   |
| reconstruction | generators     | L1 of decode(c, s) and the image                                                    |
| style          | generators     | L1 of the style found in a translation and the drawn one                            |
| content        | generators     | L1 of the content found in a translation and c                                      |
| cycle          | generators     | L1 of decode(content found in the translation, s) and the image                     |
| perceptual     | generators     | mean square of the difference to the source in instance-normalized relu5_3 (VGG-16) |
| discriminator  | discriminators | models.losses.adversarial, summed over the scales                                   |

The generators go first, and the discriminators judge what they drew then. VGG is torchvision's, not the one of Caffe that was
published.
"""
from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.blocks.spectral import trainable_parameters
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.translation.content_style.networks import ScaleDiscriminator, StyleGenerator
from models.translation.translator import Translator

_DEEP = 'relu5_3'


class ContentStyleConfig(FamilyConfig):
    """size: side of the images, a multiple of 4. width, discriminator_width: channels after the first layer. style: length of a
    style code. hidden: width of the network that turns a style into the decoder's norms. residuals: pairs of residual blocks.
    discriminator_layers: halvings in each discriminator. scales: discriminators per domain. attention: self-attention in
    generators and discriminators. sn: spectral norm in the discriminators."""

    size: int = 256
    width: int = 64
    style: int = Field(8, ge=1)
    hidden: int = 256
    residuals: int = 4
    discriminator_width: int = 64
    discriminator_layers: int = 4
    scales: int = Field(3, ge=1)
    adversary: Adversary = 'lsgan'
    attention: bool = False
    sn: bool = False

    def networks(self) -> set[str]:
        return {'vgg'} if self.is_active('perceptual') else set()

    def ignored(self) -> dict[str, str]:
        return needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary')

    def check(self) -> None:
        """ValueError, one sentence, where the size does not suit the networks."""
        least = 2 ** (self.discriminator_layers + self.scales - 1)
        if self.size % 4 or self.size < least:
            raise ValueError(
                f'size {self.size} does not suit {self.scales} scales of {self.discriminator_layers} layers; a multiple '
                f'of 4 from {least} on does'
            )


class ContentStyle(Translator):
    """`gen` and `dis` hold the networks of domain a and of domain b, as the published checkpoints do."""

    styled = True

    def __init__(self, config: ContentStyleConfig, perception: Perception | None):
        super().__init__(config, perception)
        config.check()
        self.gen = nn.ModuleDict({domain: initialize(
            StyleGenerator(config.width, config.style, config.hidden, config.residuals, attention=config.attention),
            nn.init.kaiming_normal_) for domain in 'ab'})
        self.dis = nn.ModuleDict(
            {
                domain: initialize(
                    ScaleDiscriminator(
                        config.discriminator_width,
                        config.discriminator_layers,
                        config.scales,
                        sn=config.sn,
                        attention=config.attention,
                    ),
                    partial(nn.init.normal_, std=0.02),
                )
                for domain in 'ab'
            }
        )

    def compile(self, **options) -> None:
        """Of the parts that are called."""
        for part in [*(part for network in self.gen.values() for part in network.children()), *self.dis.values()]:
            part.compile(**options)

    def param_groups(self):
        self.require('vgg', 'perceptual')
        return {'generators': trainable_parameters(self.gen), 'discriminators': trainable_parameters(self.dis)}

    def ema_modules(self):
        return {'generators': self.gen}

    def sample_style(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B,style,1,1) from N(0,1), one for each image of `like`."""
        return torch.randn(len(like), self.config.style, 1, 1, generator=generator, device=like.device, dtype=like.dtype)

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        here, there = self.gen[direction[0]], self.gen[direction[-1]]
        style = self.sample_style(images, generator) if reference is None else there.enc_style(reference)
        return there.decode(here.enc_content(images), style)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        return {**super().panel(batch), 'a2b like b': self.translate(batch.a, 'a2b', reference=batch.b),
                'b2a like a': self.translate(batch.b, 'b2a', reference=batch.a)}

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self.generator_losses(batch, cache) if group == 'generators' else self.discriminator_losses(batch, cache)

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        images = {'a': batch.a, 'b': batch.b}
        codes = {domain: self.gen[domain].encode(image) for domain, image in images.items()}
        chosen = {domain: self.sample_style(image) for domain, image in images.items()}
        fakes, losses = {}, {}
        for domain, other in ('ab', 'ba'):
            (content, style), drawn, decode = codes[domain], chosen[domain], self.gen[domain].decode
            if self.is_active('reconstruction'):  # in one pass with the translation into this domain
                own, fakes[domain] = decode(torch.cat([content, codes[other][0]]), torch.cat([style, drawn])).chunk(2)
                self._add(losses, 'reconstruction', F.l1_loss(own, images[domain]))
            else:
                fakes[domain] = decode(codes[other][0], drawn)
        cache['fakes'] = fakes['a'].detach(), fakes['b'].detach()
        for domain, other in ('ab', 'ba'):
            fake = fakes[domain]
            if self.is_active('adversarial'):
                logits = self.dis[domain](fake)
                self._add(losses, 'adversarial', len(logits) * generator_loss(self.config.adversary, logits))
            if self.is_active('content') or self.is_active('cycle'):
                content = self.gen[domain].enc_content(fake)
                if self.is_active('content'):
                    self._add(losses, 'content', F.l1_loss(content, codes[other][0]))
                if self.is_active('cycle'):
                    self._add(losses, 'cycle', F.l1_loss(self.gen[other].decode(content, codes[other][1]), images[other]))
            if self.is_active('style'):
                self._add(losses, 'style', F.l1_loss(self.gen[domain].enc_style(fake), chosen[domain]))
            if self.is_active('perceptual'):
                seen, source = (F.instance_norm(self.perception.vgg(image, (_DEEP,))[_DEEP])
                                for image in (fake, images[other]))
                self._add(losses, 'perceptual', F.mse_loss(seen, source))
        return {**losses, **self.further_losses(batch, fakes, codes)}

    def further_losses(self, batch: PairBatch, fakes: dict[str, Tensor],
                      codes: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """What a subclass adds. fakes: per domain the translations into it, (B,3,H,W); codes: content and style of a and b."""
        return {}

    def discriminator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        fakes, losses = cache.get('fakes'), {}
        if not self.is_active('discriminator'):
            return losses
        if fakes is None:
            fakes = self.translate(batch.b, 'b2a'), self.translate(batch.a, 'a2b')
        for domain, real, fake in zip('ab', (batch.a, batch.b), fakes):
            both = [logits.chunk(2) for logits in self.dis[domain](torch.cat([real, fake]))]
            reals, made = ([pair[side] for pair in both] for side in (0, 1))
            kind = self.config.adversary
            self._add(
                losses, 'discriminator', len(both) * (discriminator_on_real(kind, reals) + discriminator_on_fake(kind, made))
            )
        return losses

    @staticmethod
    def _add(losses: dict[str, Tensor], name: str, value: Tensor) -> None:
        losses[name] = losses[name] + value if name in losses else value
