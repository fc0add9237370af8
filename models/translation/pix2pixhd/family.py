"""pix2pixHD (Wang et al. 2018, arXiv:1711.11585) on face parsing maps: image synthesis from labels and features of each label.

| loss          | group          | formula                                                                    | paper       |
| ------------- | -------------- | -------------------------------------------------------------------------- | ----------- |
| adversarial   | generator      | (D(fake) - 1)^2, sum over the discriminators' scales                       | eq. 2       |
| matching      | generator      | 4 / (layers + 1) L1 of each inner discriminator map, mean over the scales  | eq. 4       |
| perceptual    | generator      | L1 of VGG-19's relu1_1 to relu5_1, weights 1/32, 1/16, 1/8, 1/4, 1         | section 3.3 |
| discriminator | discriminators | D(fake)^2 + (D(real) - 1)^2, sum over the scales                           | eq. 2       |

Features are means over labels, since faces have no instances, and edges are those between labels. VGG's input is normalized by
ImageNet's mean and standard deviation, which the published code omits.
"""
from functools import partial, reduce
from operator import add
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn import Parameter

from configs.base import needing
from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.translation.pix2pixhd.networks import FeatureEncoder, GlobalGenerator, LocalEnhancer, PatchDiscriminators, spread

_PERCEPTUAL_WEIGHTS = {'relu1_1': 1 / 32, 'relu2_1': 1 / 16, 'relu3_1': 1 / 8, 'relu4_1': 1 / 4, 'relu5_1': 1.0}


class Pix2PixHDConfig(FamilyConfig):
    """Networks and losses of pix2pixHD."""

    size: int = Field(256, description='side of the images in pixels, a multiple of 2^downs, with the enhancer of 2^(downs + 1)')
    width: int = Field(64, description="channels of the generator's first layer, of the enhancer's with an enhancer")
    downs: int = Field(4, description='halvings of the global generator')
    blocks: int = Field(9, description='residual blocks of the global generator')
    enhancer: bool = Field(False, description='a local enhancer at full resolution around the global generator at half')
    local_blocks: int = Field(3, description='residual blocks of the enhancer')
    fixed_global: int = Field(0, description='first steps in which the enhancer alone is trained')
    labels: int = Field(len(PARTS), description='number of labels')
    features: int = Field(3, ge=0, description='length of the feature vector of a label, 0 for none')
    feature_width: int = Field(16, description="channels of the feature encoder's first layer")
    discriminator_width: int = Field(64, description="channels of the discriminators' first layer")
    discriminator_layers: int = Field(3, description='halvings of each discriminator')
    scales: int = Field(2, ge=1, description='discriminators, each at half the resolution of the one before')
    weights: dict[str, float] = Field({'adversarial': 1.0, 'matching': 10.0, 'perceptual': 10.0, 'discriminator': 0.5},
                                      description='weight of each loss')

    def networks(self) -> set[str]:
        return {'parser', *(('vgg',) if self.is_active('perceptual') else ())}

    def ignored(self) -> dict[str, str]:
        return {**needing('model.enhancer=true', self.enhancer, 'local_blocks', 'fixed_global'),
                **needing('model.features above 0', self.features, 'feature_width')}


class Pix2PixHD(Family):
    """Generator, discriminators and feature encoder, trained on targets and their labels.

    `generate` renders the target's labels with the source's features. As a translator it has one direction, which renders a photo
    from its own labels.
    """

    directions = ('a2b',)
    task = 'translate'
    config: Pix2PixHDConfig

    def __init__(self, config: Pix2PixHDConfig, perception: Perception | None):
        super().__init__(config, perception)
        divisor = 2 ** (config.downs + config.enhancer)
        if config.size % divisor or config.size < 2 * divisor:  # instance norm needs more than one pixel
            raise ValueError(f'size {config.size} does not suit {config.downs} downs: take a multiple of {divisor} from '
                             f'{2 * divisor} on')
        layout_channels = config.labels + 1  # labels and edges
        inputs = layout_channels + config.features
        init = partial(nn.init.normal_, std=0.02)
        generator: GlobalGenerator | LocalEnhancer
        if config.enhancer:
            generator = LocalEnhancer(inputs, config.width, config.downs, config.blocks, config.local_blocks)
        else:
            generator = GlobalGenerator(inputs, config.width, config.downs, config.blocks)
        self.generator = initialize(generator, init)
        self.discriminators = initialize(PatchDiscriminators(
            layout_channels + 3, config.discriminator_width, config.discriminator_layers, config.scales), init)
        if config.features:
            self.encoder = initialize(FeatureEncoder(config.features, config.feature_width, config.downs), init)

    def param_groups(self) -> dict[str, list[Parameter]]:
        self.require('vgg', 'perceptual')
        return {'generator': [*self.generator.parameters(), *(self.encoder.parameters() if self.config.features else ())],
                'discriminators': list(self.discriminators.parameters())}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {'generator': self.generator, **({'encoder': self.encoder} if self.config.features else {})}

    def compile(self, **options: Any) -> None:
        """torch.compile of the networks; of the encoder only the convolutions, since its forward depends on the labels."""
        self.generator.compile(**options)
        self.discriminators.compile(**options)
        if self.config.features:
            self.encoder.model.compile(**options)

    def labels(self, batch: SwapBatch) -> Tensor:
        """Labels of the target, of the batch or else of the parser: (B,H,W) int64."""
        return self.parsed(batch.target) if batch.target_parsing is None else batch.target_parsing

    @torch.no_grad()
    def parsed(self, images: Tensor) -> Tensor:
        """Labels of the perception's parser: (B,3,H,W) -> (B,H,W) int64."""
        return self.perception.require('parser').labels(images)

    def layout(self, labels: Tensor) -> Tensor:
        """One-hot labels, and 1 where one of the four neighbors has another label: (B,H,W) -> (B,labels+1,H,W)."""
        onehot = F.one_hot(labels, self.config.labels).movedim(-1, 1).float()  # (B,labels,H,W)
        edges = torch.zeros_like(labels, dtype=torch.bool)
        horizontal, vertical = labels[..., 1:] != labels[..., :-1], labels[:, 1:] != labels[:, :-1]
        edges[..., 1:] |= horizontal
        edges[..., :-1] |= horizontal
        edges[:, 1:] |= vertical
        edges[:, :-1] |= vertical
        return torch.cat([onehot, edges[:, None].float()], 1)

    def render(self, labels: Tensor, features: Tensor | None, fixed: bool = False) -> Tensor:
        """Image of labels and features.

        Args:
            labels: (B,H,W) int64.
            features: of each label (B,labels,features), or None for a network without features.
            fixed: no gradient for the global generator inside an enhancer.

        Returns:
            (B,3,H,W) in [-1,1].
        """
        inputs = self.layout(labels)
        if features is not None:
            inputs = torch.cat([inputs, spread(features, labels)], 1)
        return self.generator(inputs, fixed) if self.config.enhancer else self.generator(inputs)

    def features(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Features of each label in images (B,3,H,W), 0 for absent labels, and its fraction of the area: (B,labels,features),
        (B,labels)."""
        return self.encoder(images, labels, self.config.labels)

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        labels = self.labels(batch)
        return (
            self.generator_losses(batch, labels, step, cache) if group == 'generator'
            else self.discriminator_losses(batch, labels, step, cache)
        )

    def fake(self, batch: SwapBatch, labels: Tensor, step: int) -> Tensor:
        """The target rendered from its own labels and features: (B,3,H,W)."""
        features = self.features(batch.target, labels)[0] if self.config.features else None
        return self.render(labels, features, fixed=step < self.config.fixed_global)

    def generator_losses(self, batch: SwapBatch, labels: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        """Losses of generator and encoder; the rendered target (B,3,H,W) is cached as `fake`."""
        fake, layout, losses = self.fake(batch, labels, step), self.layout(labels), {}
        cache['fake'] = fake.detach()
        if self.is_active('adversarial') or self.is_active('matching'):
            fake_maps = self.discriminators(torch.cat([layout, fake], 1))
            if self.is_active('adversarial'):
                losses['adversarial'] = len(fake_maps) * generator_loss('lsgan', [scale[-1] for scale in fake_maps])
            if self.is_active('matching'):
                with torch.no_grad():
                    real_maps = self.discriminators(torch.cat([layout, batch.target], 1))
                distances = [F.l1_loss(fake_map, real_map) for fake_scale, real_scale in zip(fake_maps, real_maps)
                             for fake_map, real_map in zip(fake_scale[:-1], real_scale[:-1])]
                losses['matching'] = reduce(add, distances) * 4 / (self.config.discriminator_layers + 1) / len(fake_maps)
        if self.is_active('perceptual'):
            vgg = self.perception.require('vgg', 'perceptual')
            with torch.no_grad():
                target_maps = vgg(batch.target, tuple(_PERCEPTUAL_WEIGHTS))
            fake_maps = vgg(fake, tuple(_PERCEPTUAL_WEIGHTS))
            losses['perceptual'] = reduce(add, (weight * F.l1_loss(fake_maps[name], target_maps[name])
                                                for name, weight in _PERCEPTUAL_WEIGHTS.items()))
        return losses

    def discriminator_losses(self, batch: SwapBatch, labels: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        """The loss of the discriminators."""
        if not self.is_active('discriminator'):
            return {}
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.fake(batch, labels, step) if fake is None else fake
        layout = self.layout(labels)
        maps = self.discriminators(torch.cat([torch.cat([layout, batch.target], 1), torch.cat([layout, fake], 1)]))
        on_real, on_fake = zip(*(scale[-1].chunk(2) for scale in maps))
        return {'discriminator': len(maps) * (discriminator_on_real('lsgan', on_real) + discriminator_on_fake('lsgan', on_fake))}

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """The target's labels rendered with the source's features, or the target's for labels that the source lacks."""
        labels, features = self.labels(batch), None
        if self.config.features:
            features, share = self.features(batch.source, self.parsed(batch.source))
            target_features = self.features(batch.target, labels)[0]
            features = torch.where(share[..., None] > 0, features, target_features)
        return self.render(labels, features).clamp(-1, 1)

    @property
    def styled(self) -> bool:
        """Whether features can be taken from a reference image."""
        return self.config.features > 0

    def translate(self, images: Tensor, direction: str = 'a2b', *, reference: Tensor | None = None,
                  generator: torch.Generator | None = None) -> Tensor:
        """Render images (B,3,H,W) from their labels, deterministically.

        Args:
            reference: image (B,3,H,W) that the features are taken from; without it the image itself.

        Returns:
            (B,3,H,W) in [-1,1].

        Raises:
            ValueError: see models.translation.translator.Translator.translate.
        """
        if direction not in self.directions:
            raise ValueError(f'{type(self).__name__} does not translate {direction}; supported: {", ".join(self.directions)}')
        if reference is not None and not self.styled:
            raise ValueError('this pix2pixHD takes no style from a reference image; omit the reference')
        same = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        return self.generate(SwapBatch(images if reference is None else reference, images, same))

    @torch.no_grad()
    def sample(self, labels: Tensor, centers: dict[int, Tensor], *, generator: torch.Generator | None = None) -> Tensor:
        """Images of labels with random features.

        Args:
            labels: (B,H,W) int64.
            centers: label -> cluster centers (K,features), as scripts/encode_features.py writes them, one of which is sampled per
                image. Labels without centers have features 0.
            generator: of the samples.

        Returns:
            (B,3,H,W) in [-1,1].

        Raises:
            ValueError: the network has no features.
        """
        if not self.config.features:
            raise ValueError('this pix2pixHD was trained without features; use one with model.features above 0')
        features = torch.zeros(len(labels), self.config.labels, self.config.features, device=labels.device)
        for label, clusters in sorted(centers.items()):
            index = torch.randint(len(clusters), (len(labels),), generator=generator)
            features[:, label] = clusters[index].to(features)
        return self.render(labels, features).clamp(-1, 1)

    @torch.no_grad()
    def panel(self, batch: SwapBatch) -> dict[str, Tensor]:
        reconstruction = self.fake(batch, self.labels(batch), 0).clamp(-1, 1)
        return {'source': batch.source, 'target': batch.target, 'reconstruction': reconstruction, 'swap': self.generate(batch)}
