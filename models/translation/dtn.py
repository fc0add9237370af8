"""Domain transfer network (Taigman et al. 2017, arXiv:1611.02200): photos to drawings, G = g(f(.)), where f is to see in the
drawing what it sees in the photo.

| term        | player    | formula                                                                       | paper |
| ----------- | --------- | ----------------------------------------------------------------------------- | ----- |
| adversarial | generator | critic takes translations of photos and of drawings for real drawings         | eq. 4 |
| constancy   | generator | mean square of f(photo) - f(G(photo))                                         | eq. 5 |
| identity    | generator | mean square of drawing - G(drawing)                                           | eq. 6 |
| variation   | generator | total variation of what G draws (absolute differences, across and down added) | eq. 7 |
| critic      | critic    | which of the three a picture is; or real against both kinds of fakes          | eq. 3 |
"""
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initial import initialise
from models.blocks.norms import InstanceNorm2d
from models.losses.adversarial import critic_on_fake, critic_on_real, generator_loss
from models.losses.smoothness import total_variation
from models.translation.translator import Translator
from models.translation.vector_networks import downward, levels, upward

_FROM_PHOTO, _FROM_DRAWING, _REAL = range(3)  # the classes of the ternary critic


class DTNConfig(FamilyConfig):
    """The defaults are the published form for faces.

    size: side of the pictures, a power of 2. encoder: f is the frozen identity network of the perception, as published, or an
    encoder that learns with g, as a study of faces and anime tried. critic: `ternary`, as published, or `hinge` between real
    drawings and both kinds of fakes, as in that study. features: length of f's vector, the identity network's where f is frozen.
    width, critic_width: channels of the finest maps.
    """

    size: int = 64
    encoder: Literal['frozen', 'joint'] = 'frozen'
    critic: Literal['ternary', 'hinge'] = 'ternary'
    features: int = 128
    width: int = 64
    critic_width: int = 64
    weights: dict[str, float] = {'adversarial': 1.0, 'constancy': 100.0, 'identity': 1.0, 'variation': 0.05, 'critic': 1.0}


class DTN(Translator):
    """Photos to drawings. With the encoder `frozen` the perception needs an identity encoder."""

    directions = ('a2b',)

    def __init__(self, config: DTNConfig, perception: Perception | None):
        super().__init__(config, perception)
        count = levels(config.size)
        widths, judged = ([width * 2 ** level for level in range(count)] for width in (config.width, config.critic_width))
        draw = partial(nn.init.normal_, std=0.02)
        self.encoder = nn.Identity()
        if config.encoder == 'joint':
            body = downward([3, *widths], InstanceNorm2d, nn.ReLU())
            self.encoder = initialise(nn.Sequential(*body, nn.Conv2d(widths[-1], config.features, 4), nn.Flatten()), draw)
        first = [nn.Unflatten(1, (config.features, 1, 1)), nn.ConvTranspose2d(config.features, widths[-1], 4),
                 nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        body = upward(widths[::-1], nn.BatchNorm2d, mixed=True)
        self.decoder = initialise(nn.Sequential(*first, *body, nn.ConvTranspose2d(widths[0], 3, 4, 2, 1), nn.Tanh()), draw)
        body = downward([3, *judged], InstanceNorm2d, nn.LeakyReLU(0.2))
        outputs = 3 if config.critic == 'ternary' else 1
        self.critic = initialise(nn.Sequential(*body, nn.Conv2d(judged[-1], outputs, 4), nn.Flatten()), draw)

    def players(self):
        return {'generator': [*self.encoder.parameters(), *self.decoder.parameters()], 'critic': list(self.critic.parameters())}

    def averaged(self):
        return {'encoder': self.encoder, 'decoder': self.decoder}

    def taught_by(self) -> set[str]:
        return set() if self.config.encoder == 'joint' else {'identity'}

    def encoded(self, pictures: Tensor) -> Tensor:
        """f: (B,3,H,W) -> (B,features), of mean square 1 where it is frozen."""
        if self.config.encoder == 'joint':
            return self.encoder(pictures)
        return self.perception.identity(pictures) * self.config.features ** 0.5

    def draw(self, pictures, direction, reference, generator):
        return self.decoder(self.encoded(pictures))

    def forward(self, player: str, batch: PairBatch, step: int) -> dict[str, Tensor]:
        if player == 'generator':
            return self.generator_terms(batch, step)
        return {'critic': self.judged(batch, step)} if self.wants('critic') else {}

    def generator_terms(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        given, count, terms = torch.cat([batch.a, batch.b]), len(batch), {}
        with torch.set_grad_enabled(self.config.encoder == 'joint' and torch.is_grad_enabled()):
            vectors = self.encoded(given)
        fake = self.decoder(vectors)
        self.keep(batch, step, fake)
        if self.wants('adversarial'):
            logits = self.critic(fake)
            terms['adversarial'] = generator_loss('hinge', [logits]) if self.config.critic == 'hinge' else _is(logits, _REAL)
        if self.wants('constancy'):
            terms['constancy'] = F.mse_loss(self.encoded(fake[:count]), vectors[:count])
        if self.wants('identity'):
            terms['identity'] = F.mse_loss(fake[count:], batch.b)
        if self.wants('variation'):
            terms['variation'] = total_variation(fake)
        return terms

    def judged(self, batch: PairBatch, step: int) -> Tensor:
        """The critic's loss, a scalar."""
        kept = self.kept(batch, step)
        with torch.no_grad():
            fake = self.decoder(self.encoded(torch.cat([batch.a, batch.b]))) if kept is None else kept[0]
        on_photo, on_drawing, on_real = self.critic(torch.cat([fake, batch.b])).chunk(3)
        if self.config.critic == 'hinge':
            return critic_on_real('hinge', [on_real]) + critic_on_fake('hinge', [torch.cat([on_photo, on_drawing])])
        return _is(on_photo, _FROM_PHOTO) + _is(on_drawing, _FROM_DRAWING) + _is(on_real, _REAL)


def _is(logits: Tensor, kind: int) -> Tensor:
    """Cross entropy of (B,3) logits with one class for all."""
    return F.cross_entropy(logits, logits.new_full((len(logits),), kind, dtype=torch.int64))
