"""U-GAT-IT (Kim et al. 2020, arXiv:1907.10830), light and full, and the options of its enhanced version.

Each domain has a generator into it and two discriminators, global and local. LS(x, label) is the mean of (logit - label)^2 over
patch logits plus that over the logits of the CAM classifier, summed over the domain's two discriminators. Losses of a2b belong to
domain b, those of b2a to domain a.

| loss                    | group          | formula                                                                             |
| ----------------------- | -------------- | ----------------------------------------------------------------------------------- |
| adversarial_a2b, _b2a   | generators     | LS(translation, 1)                                                                  |
| cycle                   | generators     | L1 of an image and its translation translated back, both directions                 |
| identity_mapping        | generators     | L1 of an image and its translation into its own domain, both directions             |
| cam                     | generators     | cross entropy of the generators' classifiers: 1 for the source domain, 0 for the    |
|                         |                | target domain                                                                       |
| background              | generators     | L1 of translation and source outside the head, both directions                      |
| variation               | generators     | total variation of the translation inside the head, both directions                 |
| discriminator_a2b, _b2a | discriminators | LS(real, 1) + LS(translation, 0), and + LS(edge-smoothed, 0) with blurred_negatives |

The generators are updated first and the discriminators are trained on the translations of that update, which are computed once
per step; in the published order, discriminators first, they are computed twice. Weights of a2b apply to a to b: in the code of
the enhanced version the "forward" weight applies to the opposite of the documented direction.
"""
from functools import reduce
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
from models.blocks.norms import LIN, AdaLIN
from models.losses.background import background_l1
from models.losses.smoothness import total_variation
from models.translation.edge_smoothing import blur_edges
from models.translation.head_region import erode, head_region
from models.translation.translator import Translator
from models.translation.ugatit.cam import heatmap_image
from models.translation.ugatit.losses import cam_cross_entropy, restrict_gradient, squared_error
from models.translation.ugatit.networks import Discriminator, Generator, Translation, min_size_px


class UGATITConfig(FamilyConfig):
    """Networks and losses of U-GAT-IT; the defaults are published, the fields from `enhanced` on are the enhanced version's.

    Further options of the enhanced version are settings of the run: EMA (engine.ema, engine.ema_from), a decaying learning rate
    (param_groups.*.schedule), random crops and histogram matching (data.crops, data.matching).
    """

    size: int = Field(256, description='side of the images in pixels, a multiple of 4')
    width: int = Field(64, description="channels of the generators' first layer")
    discriminator_width: int = Field(64, description="channels of the discriminators' first layer")
    blocks: int = Field(4, description='residual blocks before and after the attention each')
    pooled: int = Field(1, description="side of the pooled map from which AdaLIN's scale and shift are computed: 1 for the light "
                                       'version, 0 (the whole map) for the full one')
    enhanced: bool = Field(False, description='affine norms, biases, and the classifier bias in the attention')
    rho_limit: float = Field(1.0, description='upper limit of rho in AdaLIN, 0.9 in the enhanced version')
    squeeze: bool = Field(False, description='squeeze and excitation (scSE) in the residual blocks')
    masks: int = Field(0, description='soft masks that blend as many images, 0 for none')
    keep_input: bool = Field(False, description='the input is the first of the blended images')
    transposed: bool = Field(False, description='transposed convolutions for upsampling')
    global_layers: int = Field(7, description='depth of the global discriminators')
    local_layers: int = Field(5, description='depth of the local discriminators')
    sn: bool = Field(True, description='spectral normalization of the discriminators')
    discriminator_cam: float = Field(1.0, description="weight of the discriminators' classifiers; 0 removes them and attention")
    discriminator_attention: bool = Field(True, description="attention by the discriminators' classifiers")
    masked_discriminator: bool = Field(False, description='no loss of patches outside the head')
    detached_background: bool = Field(False, description='no adversarial gradient for translations outside the head')
    cam_input: Literal['whole', 'image', 'map', 'both'] = Field('whole', description=(
        "input of the discriminators' classifiers: all, the image without background, the feature map without, or both without"))
    glasses_and_mouth: bool = Field(False, description='glasses and the inside of the mouth count as background')
    hard_edge: bool = Field(False, description='a binary mask of the head')
    blurred_negatives: bool = Field(False, description='edge-smoothed images as additional fakes for the discriminators')
    one_way: bool = Field(False, description='genA2B only, for distributed weights; cannot be trained')
    weights: dict[str, float] = Field({
        'adversarial_a2b': 1.0,
        'adversarial_b2a': 1.0,
        'cycle': 10.0,
        'identity_mapping': 10.0,
        'cam': 1000.0,
        'background': 0.0,
        'variation': 0.0,
        'discriminator_a2b': 1.0,
        'discriminator_b2a': 1.0,
    }, description='weight of each loss')

    @property
    def needs_parser(self) -> bool:
        """Whether a setting or a loss needs a mask of the head."""
        return (self.masked_discriminator or self.detached_background or self.cam_input != 'whole'
                or self.is_active('background', 'variation'))

    def networks(self) -> set[str]:
        return {'parser'} if self.needs_parser else set()

    def ignored(self) -> dict[str, str]:
        return {**needing('model.masks above 0', self.masks, 'keep_input'),
                **needing('model.discriminator_cam above 0', self.discriminator_cam, 'discriminator_attention', 'cam_input'),
                **needing('a setting or a loss with a mask of the head', self.needs_parser, 'glasses_and_mouth', 'hard_edge')}


class UGATIT(Translator):
    """Translation in both directions. The networks have the names of the published checkpoints."""

    config: UGATITConfig
    genA2B: Generator
    genB2A: Generator
    disGA: Discriminator
    disGB: Discriminator
    disLA: Discriminator
    disLB: Discriminator

    def __init__(self, config: UGATITConfig, perception: Perception | None):
        super().__init__(config, perception)
        layers = max(config.global_layers, config.local_layers)
        min_size = 4 if config.one_way else min_size_px(layers)
        if config.size % 4 or config.size < min_size:
            raise ValueError(f'size {config.size} does not suit discriminators of {layers} layers: take a multiple of 4 from '
                             f'{min_size} on, or fewer global_layers')
        if config.one_way:
            self.directions = ('a2b',)
        for name in ('genA2B',) if config.one_way else ('genA2B', 'genB2A'):
            self.add_module(name, Generator(config.size, config.width, config.blocks, config.pooled, enhanced=config.enhanced,
                                            squeeze=config.squeeze, masks=config.masks, keep_input=config.keep_input,
                                            transposed=config.transposed))
        for scope, layers in (('G', config.global_layers), ('L', config.local_layers)):
            for domain in '' if config.one_way else 'AB':
                discriminator = Discriminator(layers, config.discriminator_width, enhanced=config.enhanced, sn=config.sn,
                                              attention=config.discriminator_attention and config.discriminator_cam > 0)
                self.add_module(f'dis{scope}{domain}', discriminator)

    def discriminators(self, domain: str) -> tuple[Discriminator, Discriminator]:
        """The global and the local discriminator of domain 'A' or 'B'."""
        return (self.disGA, self.disLA) if domain == 'A' else (self.disGB, self.disLB)

    @property
    def needs_parser(self) -> bool:
        """See UGATITConfig.needs_parser."""
        return self.config.needs_parser

    def param_groups(self) -> dict[str, list[Parameter]]:
        if self.config.one_way:
            raise ValueError('a family with model.one_way has one generator and no discriminators, and cannot be trained; set '
                             'model.one_way=false')
        if self.needs_parser and self.has_perception and self.perception.parser is None:
            raise ValueError('masks of the face, and the losses background and variation, need a parser: set perception.parser')
        discriminators = [*self.discriminators('A'), *self.discriminators('B')]
        return {'generators': [*self.genA2B.parameters(), *self.genB2A.parameters()],
                'discriminators': [parameter for discriminator in discriminators for parameter in discriminator.parameters()]}

    def ema_modules(self) -> dict[str, nn.Module]:
        return {direction: self.generator_for(direction) for direction in self.directions}

    def after_update(self, group: str) -> None:
        """Clip rho to [0,1], and that of AdaLIN to [0,rho_limit]."""
        if group == 'generators':
            for module in self.modules():
                if isinstance(module, (AdaLIN, LIN)):
                    limit = self.config.rho_limit if isinstance(module, AdaLIN) else 1.0
                    module.rho.data.clamp_(0, limit)

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self.generator_losses(batch, cache) if group == 'generators' else self.discriminator_losses(batch, cache)

    @torch.no_grad()
    def head(self, images: Tensor) -> Tensor:
        """Mask of the head: (B,3,H,W) -> (B,1,H,W) in [0,1]."""
        return head_region(self.perception.require('parser')(images), hard=self.config.hard_edge,
                           without_glasses_and_mouth=self.config.glasses_and_mouth)

    def heads(self, batch: PairBatch) -> list[Tensor]:
        """Masks of the heads of a and b; empty if no option needs them."""
        return [self.head(images) for images in (batch.a, batch.b)] if self.needs_parser else []

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of both generators; translations (B,3,H,W) into a and b, and masks of the heads, are cached as `fakes`."""
        config, heads, count = self.config, self.heads(batch), len(batch)
        head_a, head_b = heads or (None, None)
        identity_pass = self.is_active('identity_mapping') or self.is_active('cam')  # shared with the translation
        into_b, into_a = (generator(torch.cat([source, target]) if identity_pass else source) for generator, source, target
                          in ((self.genA2B, batch.a, batch.b), (self.genB2A, batch.b, batch.a)))
        fake_a, fake_b = into_a.image[:count], into_b.image[:count]
        cache['fakes'] = [image.detach() for image in (fake_a, fake_b, *heads)]
        losses = {}
        for name, fake, domain, head in (('a2b', fake_b, 'B', head_a), ('b2a', fake_a, 'A', head_b)):
            if self.is_active(f'adversarial_{name}'):
                if config.detached_background and head is not None:
                    fake = restrict_gradient(fake, head)
                losses[f'adversarial_{name}'] = self.least_squares(domain, [(fake, head, 1.0)])
        if self.is_active('cycle'):
            losses['cycle'] = F.l1_loss(self.genB2A(fake_b).image, batch.a) + F.l1_loss(self.genA2B(fake_a).image, batch.b)
        if self.is_active('identity_mapping'):
            losses['identity_mapping'] = F.l1_loss(into_a.image[count:], batch.a) + F.l1_loss(into_b.image[count:], batch.b)
        if self.is_active('cam'):
            losses['cam'] = cam_cross_entropy(into_a.cam, count) + cam_cross_entropy(into_b.cam, count)
        if self.is_active('background') and head_a is not None and head_b is not None:
            losses['background'] = background_l1(fake_b, batch.a, erode(head_a)) + background_l1(fake_a, batch.b, erode(head_b))
        if self.is_active('variation'):
            losses['variation'] = total_variation(fake_b, inside=head_a) + total_variation(fake_a, inside=head_b)
        return losses

    def discriminator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        """Losses of the discriminators of either domain."""
        fakes = cache.get('fakes')
        if fakes is None:
            with torch.no_grad():
                fakes = [self.genB2A(batch.b).image, self.genA2B(batch.a).image, *self.heads(batch)]
        fake_a, fake_b, head_a, head_b = (*fakes, None, None)[:4]
        losses = {}
        for name, domain, real, head, fake, source_head in (('a2b', 'B', batch.b, head_b, fake_b, head_a),
                                                            ('b2a', 'A', batch.a, head_a, fake_a, head_b)):
            if self.is_active(f'discriminator_{name}'):
                samples: list[tuple[Tensor, Tensor | None, float]] = [(real, head, 1.0), (fake, source_head, 0.0)]
                if self.config.blurred_negatives:
                    samples.append((blur_edges(real), head, 0.0))
                losses[f'discriminator_{name}'] = self.least_squares(domain, samples)
        return losses

    def least_squares(self, domain: str, samples: list[tuple[Tensor, Tensor | None, float]]) -> Tensor:
        """Sum of LS(images, label) over samples, computed in one pass of each discriminator. Scalar.

        Args:
            domain: 'A' or 'B'.
            samples: images (B,3,H,W), mask of their heads (B,1,H,W) or None, and label, 1 = real.
        """
        config = self.config
        images = torch.cat([sample[0] for sample in samples])  # (N,3,H,W)
        label = torch.cat([sample[0].new_full((len(sample[0]), 1), sample[2]) for sample in samples])  # (N,1)
        heads = [head for _, head, _ in samples if head is not None]
        head = torch.cat(heads) if heads else None  # (N,1,H,W)
        cam_image = images * head if head is not None and config.cam_input in ('image', 'both') else None
        cam_mask = head if config.cam_input in ('map', 'both') else None
        errors: list[Tensor] = []
        for discriminator in self.discriminators(domain):
            patches, cam, _ = discriminator(images, cam_image, cam_mask)
            errors.append(squared_error(patches, label[:, :, None, None], head if config.masked_discriminator else None))
            if config.discriminator_cam:
                errors.append(config.discriminator_cam * squared_error(cam, label))
        return len(samples) * reduce(add, errors)

    def generator_for(self, direction: str) -> Generator:
        """The generator of a direction, 'a2b' or 'b2a'."""
        return self.genA2B if direction == 'a2b' else self.genB2A

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.generator_for(direction)(images).image

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        columns: dict[str, Tensor] = {}
        for direction in self.directions:
            images = getattr(batch, direction[0])
            translation: Translation = self.generator_for(direction)(images)
            columns |= {direction[0]: images, direction: translation.image.clamp(-1, 1),
                        f'heat {direction[0]}': heatmap_image(translation.heatmap, images.shape[2:])}
            if translation.attention is not None:
                mask = (2 * translation.attention[:, :1] - 1).clamp(-1, 1)
                columns[f'mask {direction[0]}'] = mask.expand(-1, 3, -1, -1)
        return columns
