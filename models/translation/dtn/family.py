"""Domain transfer network (Taigman et al. 2017, arXiv:1611.02200): photos to drawings, G = g(f(.)), where f is to see in the
drawing what it sees in the photo.

| loss          | group         | formula                                                                       | paper |
| ------------- | ------------- | ----------------------------------------------------------------------------- | ----- |
| adversarial   | generator     | discriminator takes translations of photos and of drawings for real drawings  | eq. 4 |
| constancy     | generator     | mean square of f(photo) - f(G(photo))                                         | eq. 5 |
| identity      | generator     | mean square of drawing - G(drawing)                                           | eq. 6 |
| variation     | generator     | total variation of what G draws (absolute differences, across and down added) | eq. 7 |
| discriminator | discriminator | which of the three an image is; or real against both kinds of fakes           | eq. 3 |
"""
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.smoothness import total_variation
from models.translation.convolution_stacks import downsampling_layers, halvings, upsampling_layers
from models.translation.translator import Translator

_FROM_PHOTO, _FROM_DRAWING, _REAL = range(3)  # the classes of the ternary discriminator


class DTNConfig(FamilyConfig):
    """The defaults are the published form for faces.

    size: side of the images, a power of 2. encoder: f is the frozen identity network of the perception, as published, or an
    encoder that learns with g, as a study of faces and anime tried. discriminator: `ternary`, as published, or `hinge` between
    real drawings and both kinds of fakes, as in that study. features: length of f's vector, the identity network's where f is
    frozen. width, discriminator_width: channels of the finest maps.
    """

    size: int = 64
    encoder: Literal['frozen', 'joint'] = 'frozen'
    discriminator: Literal['ternary', 'hinge'] = 'ternary'
    features: int = 128
    width: int = 64
    discriminator_width: int = 64
    weights: dict[str, float] = {
        'adversarial': 1.0,
        'constancy': 100.0,
        'identity_mapping': 1.0,
        'variation': 0.05,
        'discriminator': 1.0,
    }

    def networks(self) -> set[str]:
        return {'id_encoder'} if self.encoder == 'frozen' else set()


class DTN(Translator):
    """Photos to drawings. With the encoder `frozen` the perception needs an identity encoder."""

    directions = ('a2b',)

    def __init__(self, config: DTNConfig, perception: Perception | None):
        super().__init__(config, perception)
        count = halvings(config.size)
        widths, judged = ([width * 2 ** level for level in range(count)] for width in (config.width, config.discriminator_width))
        draw = partial(nn.init.normal_, std=0.02)
        self.encoder = nn.Identity()
        if config.encoder == 'joint':
            body = downsampling_layers([3, *widths], nn.InstanceNorm2d, nn.ReLU())
            self.encoder = initialize(nn.Sequential(*body, nn.Conv2d(widths[-1], config.features, 4), nn.Flatten()), draw)
        first = [nn.Unflatten(1, (config.features, 1, 1)), nn.ConvTranspose2d(config.features, widths[-1], 4),
                 nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        body = upsampling_layers(widths[::-1], nn.BatchNorm2d, pointwise=True)
        self.decoder = initialize(nn.Sequential(*first, *body, nn.ConvTranspose2d(widths[0], 3, 4, 2, 1), nn.Tanh()), draw)
        body = downsampling_layers([3, *judged], nn.InstanceNorm2d, nn.LeakyReLU(0.2))
        outputs = 3 if config.discriminator == 'ternary' else 1
        self.discriminator = initialize(nn.Sequential(*body, nn.Conv2d(judged[-1], outputs, 4), nn.Flatten()), draw)

    def param_groups(self):
        return {
            'generator': [*self.encoder.parameters(), *self.decoder.parameters()],
            'discriminator': list(self.discriminator.parameters()),
        }

    def ema_modules(self):
        return {'encoder': self.encoder, 'decoder': self.decoder}

    def training_embedders(self) -> set[str]:
        return set() if self.config.encoder == 'joint' else {'id_encoder'}

    def encoded(self, images: Tensor) -> Tensor:
        """f: (B,3,H,W) -> (B,features), of mean square 1 where it is frozen."""
        if self.config.encoder == 'joint':
            return self.encoder(images)
        return self.perception.id_encoder(images) * self.config.features ** 0.5

    def render(self, images, direction, reference, generator):
        return self.decoder(self.encoded(images))

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        if group == 'generator':
            return self.generator_losses(batch, cache)
        return {'discriminator': self.judged(batch, cache)} if self.is_active('discriminator') else {}

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        given, count, losses = torch.cat([batch.a, batch.b]), len(batch), {}
        with torch.set_grad_enabled(self.config.encoder == 'joint' and torch.is_grad_enabled()):
            vectors = self.encoded(given)
        fake = self.decoder(vectors)
        cache['fake'] = fake.detach()
        if self.is_active('adversarial'):
            logits = self.discriminator(fake)
            losses['adversarial'] = (
                generator_loss('hinge', [logits]) if self.config.discriminator == 'hinge' else _is(logits, _REAL)
            )
        if self.is_active('constancy'):
            losses['constancy'] = F.mse_loss(self.encoded(fake[:count]), vectors[:count])
        if self.is_active('identity_mapping'):
            losses['identity_mapping'] = F.mse_loss(fake[count:], batch.b)
        if self.is_active('variation'):
            losses['variation'] = total_variation(fake)
        return losses

    def judged(self, batch: PairBatch, cache: dict) -> Tensor:
        """The discriminator's loss, a scalar."""
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.decoder(self.encoded(torch.cat([batch.a, batch.b]))) if fake is None else fake
        on_photo, on_drawing, on_real = self.discriminator(torch.cat([fake, batch.b])).chunk(3)
        if self.config.discriminator == 'hinge':
            return discriminator_on_real('hinge', [on_real]) + discriminator_on_fake('hinge', [torch.cat([on_photo, on_drawing])])
        return _is(on_photo, _FROM_PHOTO) + _is(on_drawing, _FROM_DRAWING) + _is(on_real, _REAL)


def _is(logits: Tensor, kind: int) -> Tensor:
    """Cross entropy of (B,3) logits with one class for all."""
    return F.cross_entropy(logits, logits.new_full((len(logits),), kind, dtype=torch.int64))
