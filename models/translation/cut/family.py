"""CUT and FastCUT (Park et al. 2020, arXiv:2007.15651): one direction, one generator, no cycle. Each patch of the translation
must be nearer to the input's patch at its place than to the others.

| loss          | group         | formula                                                               | paper |
| ------------- | ------------- | --------------------------------------------------------------------- | ----- |
| adversarial   | generator     | models.losses.adversarial                                             | eq. 1 |
| nce           | generator     | models.losses.contrastive.patch_nce, mean over the layers             | eq. 4 |
| identity      | generator     | the same between images of the target domain and what becomes of them | eq. 5 |
| discriminator | discriminator | loss on real images + loss on fakes                                   | eq. 1 |

The published code updates the discriminator first; here the generator goes first, so that one pass of it serves both.
"""
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.blocks.patch import PatchDiscriminator, check_patches
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.contrastive import patch_nce
from models.precision import full_precision, normalized
from models.translation.generators import ResNetGenerator
from models.translation.translator import Translator


class CUTConfig(FamilyConfig):
    """The defaults are CUT as published; FastCUT is `flip` with nce 10 and identity 0.

    size: side of the images, a multiple of 4. direction: which of the two is learned. width, discriminator_width: channels of the
    first layers. layers: numbers of the generator's layers that are compared, the input being 0. patches: places per layer.
    features: length of the compared vectors. antialias: blurs where the size changes. flip: half of the inputs are mirrored, and
    the maps of their translations back: what the generator does must not depend on it.
    """

    size: int = 256
    direction: Literal['a2b', 'b2a'] = 'a2b'
    width: int = 64
    blocks: int = 9
    discriminator_width: int = 64
    discriminator_layers: int = 3
    antialias: bool = True
    layers: tuple[int, ...] = (0, 4, 8, 12, 16)
    patches: int = Field(256, ge=2)
    features: int = 256
    temperature: float = Field(0.07, gt=0)
    flip: bool = False
    adversary: Adversary = 'lsgan'
    weights: dict[str, float] = {'adversarial': 1.0, 'nce': 0.5, 'identity_mapping': 0.5, 'discriminator': 0.5}

    def ignored(self) -> dict[str, str]:
        compared = self.is_active('nce', 'identity_mapping')
        return {
            **needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary'),
            **needing('a weight of nce or identity', compared, 'layers', 'patches', 'features', 'temperature', 'flip'),
        }


class Projector(nn.Module):
    """A small network per layer: maps (B,C,H,W) each, places (P,) each -> unit vectors (B,P,features) each."""

    def __init__(self, widths: list[int], features: int):
        super().__init__()
        for index, width in enumerate(widths):
            self.add_module(f'mlp_{index}', nn.Sequential(nn.Linear(width, features), nn.ReLU(), nn.Linear(features, features)))

    @full_precision
    def forward(self, maps: list[Tensor], places: list[Tensor]) -> list[Tensor]:
        return [normalized(network(values.flatten(2)[:, :, chosen].transpose(1, 2)), dim=2)
                for network, values, chosen in zip(self.children(), maps, places)]


class CUT(Translator):
    """One generator for the direction of the config, its projector, and a discriminator."""

    def __init__(self, config: CUTConfig, perception: Perception | None):
        super().__init__(config, perception)
        if config.size % 4:
            raise ValueError(f'size {config.size} does not suit the generator: take a multiple of 4')
        check_patches(config.size, config.discriminator_layers)
        self.directions = (config.direction,)
        draw = partial(nn.init.xavier_normal_, gain=0.02)
        self.generator = initialize(ResNetGenerator(config.width, config.blocks, antialias=config.antialias), draw)
        self.projector = initialize(Projector(self.generator.widths(config.layers), config.features), draw)
        self.discriminator = initialize(
            PatchDiscriminator(3, config.discriminator_width, config.discriminator_layers, antialias=config.antialias), draw
        )

    def param_groups(self):
        return {'generator': [*self.generator.parameters(), *self.projector.parameters()],
                'discriminator': list(self.discriminator.parameters())}

    def ema_modules(self):
        return {'generator': self.generator}

    def render(self, images, direction, reference, generator):
        return self.generator(images)

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        source, target = (batch.a, batch.b) if self.config.direction == 'a2b' else (batch.b, batch.a)
        if group == 'generator':
            return self.generator_losses(source, target, cache)
        if not self.is_active('discriminator'):
            return {}
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.generator(source) if fake is None else fake
        on_real, on_fake = self.discriminator(torch.cat([target, fake])).chunk(2)
        kind = self.config.adversary
        return {'discriminator': discriminator_on_real(kind, [on_real]) + discriminator_on_fake(kind, [on_fake])}

    def generator_losses(self, source: Tensor, target: Tensor, cache: dict) -> dict[str, Tensor]:
        layers, count, losses = self.config.layers, len(source), {}
        given = torch.cat([source, target]) if self.is_active('identity_mapping') else source
        mirrored = self.config.flip and self.training and bool(torch.rand(()) < 0.5)
        *maps, drawn = self.generator.maps(given.flip(3) if mirrored else given, layers, whole=True)
        cache['fake'] = drawn[:count].detach()
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss(self.config.adversary, [self.discriminator(drawn[:count])])
        if self.is_active('nce') or self.is_active('identity_mapping'):
            with torch.no_grad():
                answers = self.generator.maps(given, layers) if mirrored else maps
                places = [torch.randperm(values[0, 0].numel(), device=values.device)[:self.config.patches] for values in maps]
                keys = self.projector(answers, places)
            found = self.generator.maps(drawn, layers)
            queries = self.projector([values.flip(3) for values in found] if mirrored else found, places)
            parts = {'nce': slice(count), 'identity_mapping': slice(count, None)}
            for name in filter(self.is_active, parts):
                values = [patch_nce(query[parts[name]], key[parts[name]], temperature=self.config.temperature)
                          for query, key in zip(queries, keys)]
                losses[name] = torch.stack(values).mean()
        return losses
