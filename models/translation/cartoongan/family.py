"""CartoonGAN (Chen et al. 2018): photos to drawings, with edge-smoothed drawings as additional negatives of the discriminator.

| loss          | group         | formula                                                                       | paper    |
| ------------- | ------------- | ----------------------------------------------------------------------------- | -------- |
| adversarial   | generator     | models.losses.adversarial                                                     | eq. 3    |
| content       | generator     | L1 of the VGG-19 maps conv4_4 of photo and translation                        | eq. 4    |
| color         | generator     | L1 of the mean colors of photo and translation in an 8x8 grid                 | addition |
| id            | generator     | 1 - cos of the teacher's embeddings of photo and translation                  | addition |
| discriminator | discriminator | loss on drawings, and on edge-smoothed drawings and translations as fakes     | eq. 3    |

In the first `initialization_steps` steps the generator is trained with the content loss only, and the discriminator is not
trained. Without a VGG (`perception.vgg`) the content loss uses inner maps of the teacher.
"""
from functools import partial, reduce
from operator import add
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.identity import cosine_id_loss
from models.losses.perceptual import perceptual_l1
from models.losses.reconstruction import shading_l1
from models.translation.cartoongan.networks import cartoon_discriminator, cartoon_generator
from models.translation.edge_smoothing import blur_edges
from models.translation.translator import Translator

_CONTENT_LAYER = 'conv4_4'
_NORMS = {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d}
MIN_SIZE_PX = 16


class CartoonGANConfig(FamilyConfig):
    """Networks and losses of CartoonGAN; the defaults are the published networks."""

    size: int = Field(256, description='side of the images in pixels, a multiple of 4 from 16 on')
    width: int = Field(64, description="channels of the generator's first layer")
    blocks: int = Field(8, description='residual blocks of the generator')
    discriminator_width: int = Field(32, description="channels of the discriminator's first layer")
    norm: Literal['batch', 'instance'] = Field('batch', description='norm outside the residual blocks, which have instance norms')
    adversary: Adversary = Field('vanilla', description='form of the adversarial loss')
    initialization_steps: int = Field(0, ge=0, description='first steps with the content loss only')
    weights: dict[str, float] = Field({'adversarial': 1.0, 'content': 10.0, 'color': 0.0, 'id': 0.0, 'discriminator': 1.0},
                                      description='weight of each loss')

    def networks(self) -> set[str]:
        return {network for network, losses in (('vgg', ('content',)), ('teacher', ('content', 'id')))
                if self.is_active(*losses)}

    def ignored(self) -> dict[str, str]:
        return needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary')


class CartoonGAN(Translator):
    """Photos to drawings. The perception needs a teacher, and a VGG for the published content loss."""

    directions = ('a2b',)
    config: CartoonGANConfig

    def __init__(self, config: CartoonGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        if config.size % 4 or config.size < MIN_SIZE_PX:
            raise ValueError(f'size {config.size} does not suit the generator: take a multiple of 4 from {MIN_SIZE_PX} on')
        init, norm = partial(nn.init.normal_, std=0.02), _NORMS[config.norm]
        self.generator = initialize(cartoon_generator(config.width, config.blocks, norm), init)
        self.discriminator = initialize(cartoon_discriminator(config.discriminator_width, norm), init)

    def param_groups(self) -> dict[str, list[Parameter]]:
        return {'generator': list(self.generator.parameters()), 'discriminator': list(self.discriminator.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'generator': self.generator}

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.generator(images)

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        initialized = step >= self.config.initialization_steps
        return (self.generator_losses if group == 'generator' else self.discriminator_losses)(batch, initialized, cache)

    def generator_losses(self, batch: PairBatch, initialized: bool, cache: dict) -> dict[str, Tensor]:
        """Losses of the generator; the translation (B,3,H,W) is cached as `fake`.

        Args:
            initialized: whether the initialization is over; until then all losses except content are 0.
        """
        photo, losses = batch.a, {}
        fake = self.generator(photo)
        cache['fake'] = fake.detach()
        if self.is_active('content'):
            losses['content'] = self.content(fake, photo)
        if not initialized:
            return {**{name: fake.new_zeros(()) for name in ('adversarial', 'color', 'id') if self.is_active(name)}, **losses}
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss(self.config.adversary, [self.discriminator(fake)])
        if self.is_active('color'):
            losses['color'] = shading_l1(fake, photo, torch.ones_like(photo[:, :1]))
        if self.is_active('id'):
            with torch.no_grad():
                photo_embedding = self.perception.teacher(photo)
            losses['id'] = cosine_id_loss(self.perception.teacher(fake), photo_embedding)
        return losses

    def content(self, fake: Tensor, photo: Tensor) -> Tensor:
        """Content loss of two images (B,3,H,W): L1 of VGG's conv4_4, or of the teacher's first two maps. Scalar."""
        vgg, teacher = self.perception.vgg, self.perception.teacher
        if vgg is None:
            with torch.no_grad():
                photo_maps = teacher.maps(photo, 2)
            all_images = torch.ones(len(photo), dtype=torch.bool, device=photo.device)
            return perceptual_l1(teacher.maps(fake, 2), photo_maps, all_images)
        with torch.no_grad():
            photo_map = vgg(photo, (_CONTENT_LAYER,))[_CONTENT_LAYER]
        return F.l1_loss(vgg(fake, (_CONTENT_LAYER,))[_CONTENT_LAYER], photo_map)

    def discriminator_losses(self, batch: PairBatch, initialized: bool, cache: dict) -> dict[str, Tensor]:
        """The discriminator's loss; 0 until the initialization is over."""
        if not self.is_active('discriminator'):
            return {}
        if not initialized:
            return {'discriminator': 0 * reduce(add, (parameter.sum() for parameter in self.discriminator.parameters()))}
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.generator(batch.a) if fake is None else fake
        kind, discriminator = self.config.adversary, self.discriminator
        return {
            'discriminator': discriminator_on_real(kind, [discriminator(batch.b)])
            + discriminator_on_fake(kind, [discriminator(blur_edges(batch.b))])
            + discriminator_on_fake(kind, [discriminator(fake)])
        }
