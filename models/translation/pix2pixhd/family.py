"""pix2pixHD (Wang et al. 2018, arXiv:1711.11585) on face parsing maps: a face from labels, and from features that say how each
part looks. Changing the labels, or the features of a part, edits the face.

| loss | formula | group | paper |
| --- | --- | --- | --- |
| adversarial | (D(fake) - 1)^2, summed over the discriminators' scales | generator | eq. 2 |
| matching | 4 / (layers + 1) L1 of each inner map of the discriminators, mean over the scales | generator | eq. 4 |
| perceptual | L1 of VGG-19's relu1_1 to relu5_1, weights 1/32, 1/16, 1/8, 1/4, 1 | generator | section 3.3 |
| discriminator | D(fake)^2 + (D(real) - 1)^2, summed over the scales | discriminators | eq. 2 |

Features are averaged over each label, since faces have no instances; edges are those between labels. VGG sees images with
ImageNet's mean and deviation, which the published code leaves out.
"""
from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from configs.base import needing
from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.blocks.initialization import initialize
from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.translation.pix2pixhd.networks import FeatureEncoder, GlobalGenerator, LocalEnhancer, PatchDiscriminators, spread

_LAYERS = {'relu1_1': 1 / 32, 'relu2_1': 1 / 16, 'relu3_1': 1 / 8, 'relu4_1': 1 / 4, 'relu5_1': 1.0}


class Pix2PixHDConfig(FamilyConfig):
    """size: side of the images, a multiple of 2^downs, and of twice that with the enhancer. width: channels of the generator's
    first layer (the enhancer's, where there is one). downs, blocks: halvings and residual blocks of the global generator.
    enhancer: a local enhancer at full resolution around a global generator at half; local_blocks: its residual blocks;
    fixed_global: steps in which it learns alone. labels: how many there are. features: length of the feature of a label, 0 for
    none. scales: discriminators; discriminator_layers: halvings and one more convolution in each."""

    size: int = 256
    width: int = 64
    downs: int = 4
    blocks: int = 9
    enhancer: bool = False
    local_blocks: int = 3
    fixed_global: int = 0
    labels: int = len(PARTS)
    features: int = Field(3, ge=0)
    feature_width: int = 16
    discriminator_width: int = 64
    discriminator_layers: int = 3
    scales: int = Field(2, ge=1)
    weights: dict[str, float] = {'adversarial': 1.0, 'matching': 10.0, 'perceptual': 10.0, 'discriminator': 0.5}

    def networks(self) -> set[str]:
        return {'parser', *(('vgg',) if self.is_active('perceptual') else ())}

    def ignored(self) -> dict[str, str]:
        return {**needing('model.enhancer=true', self.enhancer, 'local_blocks', 'fixed_global'),
                **needing('model.features above 0', self.features, 'feature_width')}


class Pix2PixHD(Family):
    """Trained on targets and their labels; `generate` draws the target's labels as the source's parts look. For pipelines it is a
    translator of one direction, which draws a photo anew from its own labels."""

    task = 'translate'
    directions = ('a2b',)

    def __init__(self, config: Pix2PixHDConfig, perception: Perception | None):
        super().__init__(config, perception)
        cell = 2 ** (config.downs + config.enhancer)
        if config.size % cell:
            raise ValueError(f'size {config.size} does not suit {config.downs} downs: take a multiple of {cell}')
        shown = config.labels + 1  # labels and edges
        inputs = shown + config.features
        draw = partial(nn.init.normal_, std=0.02)
        if config.enhancer:
            generator = LocalEnhancer(inputs, config.width, config.downs, config.blocks, config.local_blocks)
        else:
            generator = GlobalGenerator(inputs, config.width, config.downs, config.blocks)
        self.generator = initialize(generator, draw)
        self.discriminators = initialize(
            PatchDiscriminators(shown + 3, config.discriminator_width, config.discriminator_layers, config.scales), draw
        )
        if config.features:
            self.encoder = initialize(FeatureEncoder(config.features, config.feature_width, config.downs), draw)

    def training_embedders(self) -> set[str]:
        return set()

    def param_groups(self):
        self.require('vgg', 'perceptual')
        return {'generator': [*self.generator.parameters(), *(self.encoder.parameters() if self.config.features else ())],
                'discriminators': list(self.discriminators.parameters())}

    def ema_modules(self):
        return {'generator': self.generator, **({'encoder': self.encoder} if self.config.features else {})}

    def compile(self, **options) -> None:
        """The encoder's forward depends on the labels, so that its convolutions alone are compiled."""
        self.generator.compile(**options)
        self.discriminators.compile(**options)
        if self.config.features:
            self.encoder.model.compile(**options)

    def labels(self, batch: SwapBatch) -> Tensor:
        """(B,H,W) int64 of the target: the batch's own, or the parser's."""
        return self.parsed(batch.target) if batch.target_parsing is None else batch.target_parsing

    @torch.no_grad()
    def parsed(self, images: Tensor) -> Tensor:
        """(B,3,H,W) -> labels (B,H,W) by the perception's parser."""
        return self.perception.parser.labels(images)

    def layout(self, labels: Tensor) -> Tensor:
        """Labels (B,H,W) -> (B,labels+1,H,W): a plane per label, and 1 where one of the four neighbors has another label."""
        condition_channels = F.one_hot(labels, self.config.labels).movedim(-1, 1).float()
        edges = torch.zeros_like(labels, dtype=torch.bool)
        across, down = labels[..., 1:] != labels[..., :-1], labels[:, 1:] != labels[:, :-1]
        edges[..., 1:] |= across
        edges[..., :-1] |= across
        edges[:, 1:] |= down
        edges[:, :-1] |= down
        return torch.cat([condition_channels, edges[:, None].float()], 1)

    def drawn(self, labels: Tensor, features: Tensor | None, fixed: bool = False) -> Tensor:
        """Labels (B,H,W) and the features of each label (B,labels,features) -> (B,3,H,W) in [-1,1]."""
        seen = self.layout(labels)
        if features is not None:
            seen = torch.cat([seen, spread(features, labels)], 1)
        return self.generator(seen, fixed) if self.config.enhancer else self.generator(seen)

    def features(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """How each label looks in images (B,3,H,W): (B,labels,features), 0 where it is absent; and its share of the image
        (B,labels)."""
        return self.encoder(images, labels, self.config.labels)

    def forward(self, group: str, batch: SwapBatch, step: int, cache: dict) -> dict[str, Tensor]:
        labels = self.labels(batch)
        return (
            self.generator_losses(batch, labels, step, cache) if group == 'generator'
            else self.discriminator_losses(batch, labels, step, cache)
        )

    def fake(self, batch: SwapBatch, labels: Tensor, step: int) -> Tensor:
        """The target drawn from its own labels and features."""
        features = self.features(batch.target, labels)[0] if self.config.features else None
        return self.drawn(labels, features, fixed=step < self.config.fixed_global)

    def generator_losses(self, batch: SwapBatch, labels: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        fake, layout, losses = self.fake(batch, labels, step), self.layout(labels), {}
        cache['fake'] = fake.detach()
        if self.is_active('adversarial') or self.is_active('matching'):
            maps = self.discriminators(torch.cat([layout, fake], 1))
            if self.is_active('adversarial'):
                losses['adversarial'] = len(maps) * generator_loss('lsgan', [scale[-1] for scale in maps])
            if self.is_active('matching'):
                with torch.no_grad():
                    real = self.discriminators(torch.cat([layout, batch.target], 1))
                each = [F.l1_loss(ours, theirs) for scale, answers in zip(maps, real)
                        for ours, theirs in zip(scale[:-1], answers[:-1])]
                losses['matching'] = sum(each) * 4 / (self.config.discriminator_layers + 1) / len(maps)
        if self.is_active('perceptual'):
            with torch.no_grad():
                answers = self.perception.vgg(batch.target, tuple(_LAYERS))
            seen = self.perception.vgg(fake, tuple(_LAYERS))
            losses['perceptual'] = sum(weight * F.l1_loss(seen[name], answers[name]) for name, weight in _LAYERS.items())
        return losses

    def discriminator_losses(self, batch: SwapBatch, labels: Tensor, step: int, cache: dict) -> dict[str, Tensor]:
        if not self.is_active('discriminator'):
            return {}
        fake = cache.get('fake')
        with torch.no_grad():
            fake = self.fake(batch, labels, step) if fake is None else fake
        layout = self.layout(labels)
        maps = self.discriminators(torch.cat([torch.cat([layout, batch.target], 1), torch.cat([layout, fake], 1)]))
        real, made = zip(*(scale[-1].chunk(2) for scale in maps))
        return {'discriminator': len(maps) * (discriminator_on_real('lsgan', real) + discriminator_on_fake('lsgan', made))}

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        labels, features = self.labels(batch), None
        if self.config.features:
            features, share = self.features(batch.source, self.parsed(batch.source))
            own = self.features(batch.target, labels)[0]
            features = torch.where(share[..., None] > 0, features, own)  # the target's where the source shows no such part
        return self.drawn(labels, features).clamp(-1, 1)

    @property
    def styled(self) -> bool:
        """Whether a reference image says how parts look."""
        return self.config.features > 0

    def translate(self, images: Tensor, direction: str = 'a2b', *, reference: Tensor | None = None,
                  generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W) in [-1,1] drawn from their labels, each part as it looks in the reference (B,3,H,W) or else in the image
        itself; nothing is left to chance. ValueError as models.translation.translator."""
        if direction not in self.directions:
            raise ValueError(f'{type(self).__name__} does not translate {direction}; it knows {", ".join(self.directions)}')
        if reference is not None and not self.styled:
            raise ValueError('this pix2pixHD takes no style from a reference image; leave the reference away')
        everyone = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        return self.generate(SwapBatch(images if reference is None else reference, images, everyone))

    @torch.no_grad()
    def sample(self, labels: Tensor, centers: dict[int, Tensor], *, generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W) from labels (B,H,W): each label of each image looks like one of its `centers` (K,features), chosen by
        chance (scripts/encode_features.py makes them). Labels without centers have features 0. ValueError where the network takes
        no features."""
        if not self.config.features:
            raise ValueError('this pix2pixHD was trained without features; give one with model.features above 0')
        features = torch.zeros(len(labels), self.config.labels, self.config.features, device=labels.device)
        for label, values in sorted(centers.items()):
            chosen = torch.randint(len(values), (len(labels),), generator=generator)
            features[:, label] = values[chosen].to(features)
        return self.drawn(labels, features).clamp(-1, 1)

    @torch.no_grad()
    def panel(self, batch: SwapBatch) -> dict[str, Tensor]:
        again = self.fake(batch, self.labels(batch), 0).clamp(-1, 1)
        return {'source': batch.source, 'target': batch.target, 'again': again, 'as the source': self.generate(batch)}
