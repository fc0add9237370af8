"""CUT and FastCUT (Park et al. 2020, arXiv:2007.15651): one-directional translation with a patchwise contrastive loss.

| loss             | group         | formula                                                                            | paper |
| ---------------- | ------------- | ---------------------------------------------------------------------------------- | ----- |
| adversarial      | generator     | models.losses.adversarial                                                          | eq. 1 |
| nce              | generator     | models.losses.contrastive.patch_nce of translation and input, mean over layers | eq. 4 |
| identity_mapping | generator     | patch_nce of translated images of the target domain and these images               | eq. 5 |
| discriminator    | discriminator | loss on real images + loss on translations                                         | eq. 1 |

In the contrastive loss the patch of the input at the same position is the positive, and its other patches are the negatives. The
published code updates the discriminator first; this one updates the generator first, so that both groups share one translation.
"""
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.blocks.patch import PatchDiscriminator, check_patches
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.contrastive import patch_nce
from models.translation.cut.networks import Projector
from models.translation.generators import ResNetGenerator
from models.translation.translator import Translator


class CUTConfig(FamilyConfig):
    """Networks and losses of CUT; the defaults are published. FastCUT is `flip` with weights nce 10 and identity_mapping 0."""

    size: int = Field(256, description='side of the images in pixels, a multiple of 4')
    direction: Literal['a2b', 'b2a'] = Field('a2b', description='the direction that is learned')
    width: int = Field(64, description="channels of the generator's first layer")
    blocks: int = Field(9, description='residual blocks of the generator')
    discriminator_width: int = Field(64, description="channels of the discriminator's first layer")
    discriminator_layers: int = Field(3, description='halvings of the patch discriminator')
    antialias: bool = Field(True, description='resampling with a blur')
    layers: tuple[int, ...] = Field((0, 4, 8, 12, 16), description='indices of the generator layers whose maps are compared')
    patches: int = Field(256, ge=2, description='sampled positions per map')
    features: int = Field(256, description='length of the projected vectors')
    temperature: float = Field(0.07, gt=0, description='temperature of the contrastive loss')
    flip: bool = Field(False, description='mirror half of the inputs, and the maps of their translations back')
    adversary: Adversary = Field('lsgan', description='form of the adversarial loss')
    weights: dict[str, float] = Field({'adversarial': 1.0, 'nce': 0.5, 'identity_mapping': 0.5, 'discriminator': 0.5},
                                      description='weight of each loss')

    def ignored(self) -> dict[str, str]:
        contrastive = self.is_active('nce', 'identity_mapping')
        return {
            **needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary'),
            **needing('a weight of nce or identity_mapping', contrastive, 'layers', 'patches', 'features', 'temperature', 'flip'),
        }


class CUT(Translator):
    """Generator, projector and discriminator for the direction of the config."""

    config: CUTConfig

    def __init__(self, config: CUTConfig, perception: Perception | None):
        super().__init__(config, perception)
        if config.size % 4:
            raise ValueError(f'size {config.size} does not suit the generator: take a multiple of 4')
        check_patches(config.size, config.discriminator_layers)
        self.directions = (config.direction,)
        init = partial(nn.init.xavier_normal_, gain=0.02)
        self.generator = initialize(ResNetGenerator(config.width, config.blocks, antialias=config.antialias), init)
        self.projector = initialize(Projector(self.generator.widths(config.layers), config.features), init)
        self.discriminator = initialize(
            PatchDiscriminator(3, config.discriminator_width, config.discriminator_layers, antialias=config.antialias), init
        )

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'generator': [*self.generator.parameters(), *self.projector.parameters()],
                'discriminator': list(self.discriminator.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'generator': self.generator}

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
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
        """Losses of generator and projector for images (B,3,H,W); the translation of the source is cached as `fake`."""
        layers, count, losses = self.config.layers, len(source), {}
        inputs = torch.cat([source, target]) if self.is_active('identity_mapping') else source  # (N,3,H,W), N = B or 2B
        mirrored = self.config.flip and self.training and bool(torch.rand(()) < 0.5)
        *maps, translations = self.generator.maps(inputs.flip(3) if mirrored else inputs, layers, whole=True)
        cache['fake'] = translations[:count].detach()
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss(self.config.adversary, [self.discriminator(translations[:count])])
        if self.is_active('nce') or self.is_active('identity_mapping'):
            with torch.no_grad():
                input_maps = self.generator.maps(inputs, layers) if mirrored else maps
                positions = [torch.randperm(features[0, 0].numel(), device=features.device)[:self.config.patches]
                             for features in maps]
                keys = self.projector(input_maps, positions)
            output_maps = self.generator.maps(translations, layers)
            queries = self.projector([features.flip(3) for features in output_maps] if mirrored else output_maps, positions)
            rows = {'nce': slice(count), 'identity_mapping': slice(count, None)}
            for name in filter(self.is_active, rows):
                values = [patch_nce(query[rows[name]], key[rows[name]], temperature=self.config.temperature)
                          for query, key in zip(queries, keys)]
                losses[name] = torch.stack(values).mean()
        return losses
