"""What MUNIT and SATNet share: a picture is a content that both domains know and a style of its own domain; a translation is the
content with another style, drawn from N(0,1) or taken from a reference picture. c, s: content and style of a picture.

| term           | player     | formula, both domains added                                                        |
| -------------- | ---------- | ---------------------------------------------------------------------------------- |
| adversarial    | generators | models.losses.adversarial, summed over the critic's scales                         |
| reconstruction | generators | L1 of decode(c, s) and the picture                                                 |
| style          | generators | L1 of the style found in a translation and the drawn one                           |
| content        | generators | L1 of the content found in a translation and c                                     |
| cycle          | generators | L1 of decode(content found in the translation, s) and the picture                  |
| perceptual     | generators | mean square of the difference to the source in instance-normalised relu5_3 (VGG-16)  |
| critic         | critics    | models.losses.adversarial, summed over the scales                                  |

The generators go first, and the critics judge what they drew then. VGG is torchvision's, not the one of Caffe that was published.
"""
from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initial import initialise
from models.blocks.spectral import learnt
from models.losses.adversarial import Adversary, critic_on_fake, critic_on_real, generator_loss
from models.translation.style_networks import ScaleCritic, StyleGenerator
from models.translation.translator import Translator

_DEEP = 'relu5_3'


class ContentStyleConfig(FamilyConfig):
    """size: side of the pictures, a multiple of 4. width, critic_width: channels after the first layer. style: length of a style
    code. hidden: width of the network that turns a style into the decoder's norms. residuals: pairs of residual blocks.
    critic_layers: halvings in each critic. scales: critics per domain. attention: self-attention in generators and critics. sn:
    spectral norm in the critics."""

    size: int = 256
    width: int = 64
    style: int = Field(8, ge=1)
    hidden: int = 256
    residuals: int = 4
    critic_width: int = 64
    critic_layers: int = 4
    scales: int = Field(3, ge=1)
    adversary: Adversary = 'lsgan'
    attention: bool = False
    sn: bool = False

    def check(self) -> None:
        """ValueError, one sentence, where the size does not suit the networks."""
        least = 2 ** (self.critic_layers + self.scales - 1)
        if self.size % 4 or self.size < least:
            raise ValueError(f'size {self.size} does not suit {self.scales} scales of {self.critic_layers} layers; a multiple '
                             f'of 4 from {least} on does')


class ContentStyle(Translator):
    """`gen` and `dis` hold the networks of domain a and of domain b, as the published checkpoints do."""

    styled = True

    def __init__(self, config: ContentStyleConfig, perception: Perception | None):
        super().__init__(config, perception)
        config.check()
        self.gen = nn.ModuleDict({domain: initialise(
            StyleGenerator(config.width, config.style, config.hidden, config.residuals, attention=config.attention),
            nn.init.kaiming_normal_) for domain in 'ab'})
        self.dis = nn.ModuleDict({domain: initialise(
            ScaleCritic(config.critic_width, config.critic_layers, config.scales, sn=config.sn, attention=config.attention),
            partial(nn.init.normal_, std=0.02)) for domain in 'ab'})

    def compile(self, **options) -> None:
        """Of the parts that are called."""
        for part in [*(part for network in self.gen.values() for part in network.children()), *self.dis.values()]:
            part.compile(**options)

    def players(self):
        self.require('vgg', 'perceptual')
        return {'generators': learnt(self.gen), 'critics': learnt(self.dis)}

    def averaged(self):
        return {'generators': self.gen}

    def drawn_style(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B,style,1,1) from N(0,1), one for each picture of `like`."""
        return torch.randn(len(like), self.config.style, 1, 1, generator=generator, device=like.device, dtype=like.dtype)

    def draw(self, pictures: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        here, there = self.gen[direction[0]], self.gen[direction[-1]]
        style = self.drawn_style(pictures, generator) if reference is None else there.enc_style(reference)
        return there.decode(here.enc_content(pictures), style)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        return {**super().panel(batch), 'a2b like b': self.translate(batch.a, 'a2b', reference=batch.b),
                'b2a like a': self.translate(batch.b, 'b2a', reference=batch.a)}

    def forward(self, player: str, batch: PairBatch, step: int) -> dict[str, Tensor]:
        return self.generator_terms(batch, step) if player == 'generators' else self.critic_terms(batch, step)

    def generator_terms(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        pictures = {'a': batch.a, 'b': batch.b}
        codes = {domain: self.gen[domain].encode(picture) for domain, picture in pictures.items()}
        chosen = {domain: self.drawn_style(picture) for domain, picture in pictures.items()}
        fakes, terms = {}, {}
        for domain, other in ('ab', 'ba'):
            (content, style), drawn, decode = codes[domain], chosen[domain], self.gen[domain].decode
            if self.wants('reconstruction'):  # in one pass with the translation into this domain
                own, fakes[domain] = decode(torch.cat([content, codes[other][0]]), torch.cat([style, drawn])).chunk(2)
                self._add(terms, 'reconstruction', F.l1_loss(own, pictures[domain]))
            else:
                fakes[domain] = decode(codes[other][0], drawn)
        self.keep(batch, step, fakes['a'], fakes['b'])
        for domain, other in ('ab', 'ba'):
            fake = fakes[domain]
            if self.wants('adversarial'):
                logits = self.dis[domain](fake)
                self._add(terms, 'adversarial', len(logits) * generator_loss(self.config.adversary, logits))
            if self.wants('content') or self.wants('cycle'):
                content = self.gen[domain].enc_content(fake)
                if self.wants('content'):
                    self._add(terms, 'content', F.l1_loss(content, codes[other][0]))
                if self.wants('cycle'):
                    self._add(terms, 'cycle', F.l1_loss(self.gen[other].decode(content, codes[other][1]), pictures[other]))
            if self.wants('style'):
                self._add(terms, 'style', F.l1_loss(self.gen[domain].enc_style(fake), chosen[domain]))
            if self.wants('perceptual'):
                seen, source = (F.instance_norm(self.perception.vgg(picture, (_DEEP,))[_DEEP])
                                for picture in (fake, pictures[other]))
                self._add(terms, 'perceptual', F.mse_loss(seen, source))
        return {**terms, **self.further_terms(batch, fakes, codes)}

    def further_terms(self, batch: PairBatch, fakes: dict[str, Tensor],
                      codes: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """What a subclass adds. fakes: per domain the translations into it, (B,3,H,W); codes: content and style of a and b."""
        return {}

    def critic_terms(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        fakes, terms = self.kept(batch, step), {}
        if not self.wants('critic'):
            return terms
        if fakes is None:
            fakes = self.translate(batch.b, 'b2a'), self.translate(batch.a, 'a2b')
        for domain, real, fake in zip('ab', (batch.a, batch.b), fakes):
            both = [logits.chunk(2) for logits in self.dis[domain](torch.cat([real, fake]))]
            reals, made = ([pair[side] for pair in both] for side in (0, 1))
            kind = self.config.adversary
            self._add(terms, 'critic', len(both) * (critic_on_real(kind, reals) + critic_on_fake(kind, made)))
        return terms

    @staticmethod
    def _add(terms: dict[str, Tensor], name: str, value: Tensor) -> None:
        terms[name] = terms[name] + value if name in terms else value
