"""CartoonGAN (Chen et al. 2018): photos to drawings, by an adversary that also learns to refuse drawings without sharp edges.

| loss          | group         | formula                                                                        | paper |
| ------------- | ------------- | ------------------------------------------------------------------------------ | ----- |
| adversarial   | generator     | models.losses.adversarial                                                      | eq. 3 |
| content       | generator     | L1 between maps of VGG-19 (conv4_4) of photo and drawing                       | eq. 4 |
| color         | generator     | L1 of the mean colors of photo and drawing in an 8x8 grid                      | ours  |
| id            | generator     | 1 - cos between the teacher's views of photo and drawing                       | ours  |
| discriminator | discriminator | loss on drawings + on drawings with blurred edges, as fakes, + on translations | eq. 3 |

In its first `initialization_steps` steps the generator learns content alone, and the discriminator nothing. Where the perception has no
VGG (`perception.vgg` is not set) the teacher's inner maps stand in for it.
"""
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.translation.edge_smoothing import blur_edges
from models.blocks.initialization import initialize
from models.blocks.resnet import PaddedResidual
from models.losses.adversarial import Adversary, discriminator_on_fake, discriminator_on_real, generator_loss
from models.losses.identity import cosine_id_loss
from models.losses.perceptual import perceptual_l1
from models.losses.reconstruction import shading_l1
from models.translation.translator import Translator

_LAYER = 'conv4_4'
_NORMS = {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d}


class CartoonGANConfig(FamilyConfig):
    """The defaults are the published networks.

    size: side of the images, a multiple of 4 from 16 on. width, discriminator_width: channels of the first layers. blocks:
    residual ones. norm: of the stages; the residual blocks have instance norms. initialization: steps of content alone.
    """

    size: int = 256
    width: int = 64
    blocks: int = 8
    discriminator_width: int = 32
    norm: Literal['batch', 'instance'] = 'batch'
    adversary: Adversary = 'vanilla'
    initialization_steps: int = Field(0, ge=0)
    weights: dict[str, float] = {'adversarial': 1.0, 'content': 10.0, 'color': 0.0, 'id': 0.0, 'discriminator': 1.0}

    def networks(self) -> set[str]:
        return {network for network, losses in (('vgg', ('content',)), ('teacher', ('content', 'id')))
                if self.is_active(*losses)}

    def ignored(self) -> dict[str, str]:
        return needing('a weight of adversarial or discriminator', self.is_active('adversarial', 'discriminator'), 'adversary')


def cartoon_generator(width: int, blocks: int, norm: type[nn.Module]) -> nn.Sequential:
    """(B,3,H,W) -> (B,3,H,W) in [-1,1]; each change of size is followed by one more convolution."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 7, 1, 3), norm(width), nn.ReLU()]
    for inner, out in ((width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(inner, out, 3, 2, 1), nn.Conv2d(out, out, 3, 1, 1), norm(out), nn.ReLU()]
    layers += [PaddedResidual(4 * width) for _ in range(blocks)]
    for inner, out in ((4 * width, 2 * width), (2 * width, width)):
        layers += [nn.ConvTranspose2d(inner, out, 3, 2, 1, 1), nn.Conv2d(out, out, 3, 1, 1), norm(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 7, 1, 3), nn.Tanh())


def cartoon_discriminator(width: int, norm: type[nn.Module]) -> nn.Sequential:
    """(B,3,H,W) -> (B,1,H/4,W/4) logits."""
    def act() -> nn.Module:
        return nn.LeakyReLU(0.2)

    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), act()]
    inner = width
    for middle, out in ((2 * width, 4 * width), (4 * width, 8 * width)):
        layers += [nn.Conv2d(inner, middle, 3, 2, 1), act(), nn.Conv2d(middle, out, 3, 1, 1), norm(out), act()]
        inner = out
    return nn.Sequential(*layers, nn.Conv2d(inner, inner, 3, 1, 1), norm(inner), act(), nn.Conv2d(inner, 1, 3, 1, 1))


class CartoonGAN(Translator):
    """Photos to drawings. The perception needs a teacher, and a VGG for the published content loss."""

    directions = ('a2b',)

    def __init__(self, config: CartoonGANConfig, perception: Perception | None):
        super().__init__(config, perception)
        if config.size % 4 or config.size < 16:
            raise ValueError(f'size {config.size} does not suit the generator: take a multiple of 4 from 16 on')
        draw, norm = partial(nn.init.normal_, std=0.02), _NORMS[config.norm]
        self.generator = initialize(cartoon_generator(config.width, config.blocks, norm), draw)
        self.discriminator = initialize(cartoon_discriminator(config.discriminator_width, norm), draw)

    def param_groups(self):
        return {'generator': list(self.generator.parameters()), 'discriminator': list(self.discriminator.parameters())}

    def ema_modules(self):
        return {'generator': self.generator}

    def render(self, images, direction, reference, generator):
        return self.generator(images)

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        learning = step >= self.config.initialization_steps
        return (self.generator_losses if group == 'generator' else self.discriminator_losses)(batch, learning, cache)

    def generator_losses(self, batch: PairBatch, learning: bool, cache: dict) -> dict[str, Tensor]:
        """learning: whether the initialization is over. Until then all losses but `content` are 0."""
        photo, losses = batch.a, {}
        fake = self.generator(photo)
        cache['fake'] = fake.detach()
        if self.is_active('content'):
            losses['content'] = self.content(fake, photo)
        if not learning:
            return {**{name: fake.new_zeros(()) for name in ('adversarial', 'color', 'id') if self.is_active(name)}, **losses}
        if self.is_active('adversarial'):
            losses['adversarial'] = generator_loss(self.config.adversary, [self.discriminator(fake)])
        if self.is_active('color'):
            losses['color'] = shading_l1(fake, photo, torch.ones_like(photo[:, :1]))
        if self.is_active('id'):
            with torch.no_grad():
                wanted = self.perception.teacher(photo)
            losses['id'] = cosine_id_loss(self.perception.teacher(fake), wanted)
        return losses

    def training_embedders(self) -> set[str]:
        return {'teacher'} if self.is_active('content') or self.is_active('id') else set()

    def content(self, fake: Tensor, photo: Tensor) -> Tensor:
        """The distance of two images (B,3,H,W) in VGG's conv4_4, or else in the teacher's first two maps. Scalar."""
        vgg, teacher = self.perception.vgg, self.perception.teacher
        with torch.no_grad():
            answers = teacher.maps(photo, 2) if vgg is None else vgg(photo, (_LAYER,))[_LAYER]
        if vgg is None:
            everyone = torch.ones(len(photo), dtype=torch.bool, device=photo.device)
            return perceptual_l1(teacher.maps(fake, 2), answers, everyone)
        return F.l1_loss(vgg(fake, (_LAYER,))[_LAYER], answers)

    def discriminator_losses(self, batch: PairBatch, learning: bool, cache: dict) -> dict[str, Tensor]:
        if not self.is_active('discriminator'):
            return {}
        if not learning:
            return {'discriminator': 0 * sum(parameter.sum() for parameter in self.discriminator.parameters())}
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.generator(batch.a) if fake is None else fake
        kind, judged = self.config.adversary, self.discriminator
        return {
            'discriminator': discriminator_on_real(kind, [judged(batch.b)])
            + discriminator_on_fake(kind, [judged(blur_edges(batch.b))])
            + discriminator_on_fake(kind, [judged(fake)])
        }
