"""Domain transfer network (Taigman et al. 2017, arXiv:1611.02200): photos to drawings through an embedding, G = g(f(.)).

| loss             | group         | formula                                                                           | paper |
| ---------------- | ------------- | --------------------------------------------------------------------------------- | ----- |
| adversarial      | generator     | translations of photos and of drawings classified as real drawings                | eq. 4 |
| constancy        | generator     | mean square of f(photo) - f(G(photo))                                             | eq. 5 |
| identity_mapping | generator     | mean square of drawing - G(drawing)                                               | eq. 6 |
| variation        | generator     | total variation of translations (absolute differences, both axes added)           | eq. 7 |
| discriminator    | discriminator | cross entropy of three classes (below), or hinge of real against both translations | eq. 3 |

The classes of the ternary discriminator are translations of photos, translations of drawings, and drawings.
"""
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.smoothness import total_variation
from models.translation.convolution_stacks import halvings
from models.translation.dtn.networks import image_discriminator, vector_decoder, vector_encoder
from models.translation.translator import Translator

_FROM_PHOTO, _FROM_DRAWING, _REAL = range(3)  # the classes of the ternary discriminator


class DTNConfig(FamilyConfig):
    """Networks and losses of the domain transfer network; the defaults are the published form for faces."""

    size: int = Field(64, description='side of the images in pixels, a power of 2 from 8 on')
    encoder: Literal['frozen', 'joint'] = Field('frozen', description="the encoder f: the perception's identity encoder, or an "
                                                                      'encoder trained with g')
    discriminator: Literal['ternary', 'hinge'] = Field('ternary', description='three classes, or hinge of real drawings against '
                                                                              'both kinds of translations')
    features: int = Field(128, description="length of f's vector; that of the identity encoder if f is frozen")
    width: int = Field(64, description='channels of the finest maps of encoder and decoder')
    discriminator_width: int = Field(64, description="channels of the discriminator's first layer")
    weights: dict[str, float] = Field({
        'adversarial': 1.0,
        'constancy': 100.0,
        'identity_mapping': 1.0,
        'variation': 0.05,
        'discriminator': 1.0,
    }, description='weight of each loss')

    def networks(self) -> set[str]:
        return {'id_encoder'} if self.encoder == 'frozen' else set()


class DTN(Translator):
    """Photos to drawings. With a frozen encoder the perception needs an identity encoder."""

    directions = ('a2b',)
    config: DTNConfig

    def __init__(self, config: DTNConfig, perception: Perception | None):
        super().__init__(config, perception)
        count = halvings(config.size)
        widths, discriminator_widths = ([width * 2 ** level for level in range(count)]
                                        for width in (config.width, config.discriminator_width))
        init = partial(nn.init.normal_, std=0.02)
        self.encoder: nn.Module = nn.Identity()
        if config.encoder == 'joint':
            self.encoder = initialize(vector_encoder(widths, config.features), init)
        self.decoder = initialize(vector_decoder(widths, config.features), init)
        outputs = 3 if config.discriminator == 'ternary' else 1
        self.discriminator = initialize(image_discriminator(discriminator_widths, outputs), init)

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {
            'generator': [*self.encoder.parameters(), *self.decoder.parameters()],
            'discriminator': list(self.discriminator.parameters()),
        }

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'encoder': self.encoder, 'decoder': self.decoder}

    def encode(self, images: Tensor) -> Tensor:
        """f: (B,3,H,W) -> (B,features), of mean square 1 if f is frozen."""
        if self.config.encoder == 'joint':
            return self.encoder(images)
        return self.perception.id_encoder(images) * self.config.features ** 0.5

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.decoder(self.encode(images))

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        if group == 'generator':
            return self.generator_losses(batch, cache)
        return {'discriminator': self.discriminator_loss(batch, cache)} if self.is_active('discriminator') else {}

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of encoder and decoder; the translations (2B,3,H,W) of photos and drawings are cached as `fake`."""
        images, count, losses = torch.cat([batch.a, batch.b]), len(batch), {}
        with torch.set_grad_enabled(self.config.encoder == 'joint' and torch.is_grad_enabled()):
            embeddings = self.encode(images)  # (2B,features)
        fake = self.decoder(embeddings)
        cache['fake'] = fake.detach()
        if self.is_active('adversarial'):
            logits = self.discriminator(fake)
            losses['adversarial'] = (
                generator_loss('hinge', [logits]) if self.config.discriminator == 'hinge' else _class_loss(logits, _REAL)
            )
        if self.is_active('constancy'):
            losses['constancy'] = F.mse_loss(self.encode(fake[:count]), embeddings[:count])
        if self.is_active('identity_mapping'):
            losses['identity_mapping'] = F.mse_loss(fake[count:], batch.b)
        if self.is_active('variation'):
            losses['variation'] = total_variation(fake)
        return losses

    def discriminator_loss(self, batch: PairBatch, cache: dict) -> Tensor:
        """Scalar."""
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.decoder(self.encode(torch.cat([batch.a, batch.b]))) if fake is None else fake
        on_photo, on_drawing, on_real = self.discriminator(torch.cat([fake, batch.b])).chunk(3)
        if self.config.discriminator == 'hinge':
            return discriminator_on_real('hinge', [on_real]) + discriminator_on_fake('hinge', [torch.cat([on_photo, on_drawing])])
        return _class_loss(on_photo, _FROM_PHOTO) + _class_loss(on_drawing, _FROM_DRAWING) + _class_loss(on_real, _REAL)


def _class_loss(logits: Tensor, label: int) -> Tensor:
    """Cross entropy of logits (B,3) with the same label for all rows."""
    return F.cross_entropy(logits, logits.new_full((len(logits),), label, dtype=torch.int64))
