"""U-GAT-IT (Kim et al. 2020, arXiv:1907.10830), light and full, and all that its enhanced version adds.

For each domain a generator into it and two discriminators, global and local. "Say x" means the mean of (logit - x)^2 over the
patch logits plus that over the classifier's, summed over the domain's two discriminators. Losses of a2b concern domain b, of b2a
domain a.

| loss | formula | group |
| --- | --- | --- |
| adversarial_a2b, _b2a | the discriminators are to say 1 of translations | generators |
| cycle | L1 of the image translated there and back, both ways | generators |
| identity | L1 of an image with its translation into the domain where it is already, both ways | generators |
| cam | cross entropy of the generators' classifiers: 1 from the other domain, 0 from theirs | generators |
| background | L1 of translation and source outside the head, both ways | generators |
| variation | total variation of the translation inside the head, both ways | generators |
| discriminator_a2b, _b2a | say 1 of real images, 0 of translations (and of images with blurred edges) | discriminators |

The generators are updated first, and the discriminators judge the very translations that this update was made from, so that each
is made once per step; in the published order, discriminators first, it is made twice. Weights of a2b weigh a to b: the enhanced
version's code has its "forward" weight on the other direction than its description says.
"""
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from configs.base import needing
from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.translation.ugatit.cam import heatmap_image
from models.translation.edge_smoothing import blur_edges
from models.blocks.norms import LIN, AdaLIN
from models.losses.background import background_l1
from models.losses.smoothness import total_variation
from models.precision import full_precision
from models.translation.head_region import erode, head_region
from models.translation.translator import Translator
from models.translation.ugatit.networks import Discriminator, Generator, Translation


class UGATITConfig(FamilyConfig):
    """size: side of the images, a multiple of 4. width, discriminator_width: channels after the first layer. blocks: residual
    blocks before and after the heat map. pooled: side of the pooled map from which AdaLIN's scale and shift come: 1 is the light
    version, 0 the full one.

    The rest is the enhanced version's; the defaults are the published U-GAT-IT.
    enhanced: its networks (affine norms, biases, the classifier's bias in the heat map). rho_limit: up to which rho of AdaLIN may
    grow (there 0.9). squeeze: scSE in the generators' blocks. masks: k > 0 soft masks that mix k images, of which with
    keep_input the first is the input. transposed: transposed convolutions in the generators. global_layers, local_layers: depth
    of the discriminators. sn: spectral norm in the discriminators (the flag of that name there turns it off).
    discriminator_cam: weight of the discriminators' classifiers beside their patches; 0 leaves them out, their attention too.
    discriminator_attention: whether the discriminators weigh their map by what the classifiers look at (the flag there turns it
    off).

    What the head is, the parser tells, from the source image:
    masked_discriminator: patches of background count as right whatever the discriminators say. detached_background: background of
    a translation does not learn from the discriminators. cam_input: what the discriminators' classifiers see: the whole image, the
    image without background, the map without background, or both of these. glasses_and_mouth: they count as background.
    hard_edge: the head ends with a step.

    blurred_negatives: the discriminators are also shown images whose edges are blurred, as fakes. one_way: genA2B alone, as
    weights that are passed on may hold it; such a family translates a to b and is not trained.

    Elsewhere: EMA (engine.ema, engine.ema_from), decay of the learning rate (parameter groups.*.schedule; there the flag "no
    decay" turns it on), random crops and matched histograms (data.crops, data.matching).
    """

    size: int = 256
    width: int = 64
    discriminator_width: int = 64
    blocks: int = 4
    pooled: int = 1
    enhanced: bool = False
    rho_limit: float = 1.0
    squeeze: bool = False
    masks: int = 0
    keep_input: bool = False
    transposed: bool = False
    global_layers: int = 7
    local_layers: int = 5
    sn: bool = True
    discriminator_cam: float = 1.0
    discriminator_attention: bool = True
    masked_discriminator: bool = False
    detached_background: bool = False
    cam_input: Literal['whole', 'image', 'map', 'both'] = 'whole'
    glasses_and_mouth: bool = False
    hard_edge: bool = False
    blurred_negatives: bool = False
    one_way: bool = False
    weights: dict[str, float] = {
        'adversarial_a2b': 1.0,
        'adversarial_b2a': 1.0,
        'cycle': 10.0,
        'identity_mapping': 10.0,
        'cam': 1000.0,
        'background': 0.0,
        'variation': 0.0,
        'discriminator_a2b': 1.0,
        'discriminator_b2a': 1.0,
    }

    @property
    def needs_parser(self) -> bool:
        return (self.masked_discriminator or self.detached_background or self.cam_input != 'whole'
                or self.is_active('background', 'variation'))

    def networks(self) -> set[str]:
        return {'parser'} if self.needs_parser else set()

    def ignored(self) -> dict[str, str]:
        return {**needing('model.masks above 0', self.masks, 'keep_input'),
                **needing('model.discriminator_cam above 0', self.discriminator_cam, 'discriminator_attention', 'cam_input'),
                **needing('a setting or a loss that looks at the head', self.needs_parser, 'glasses_and_mouth', 'hard_edge')}


class UGATIT(Translator):
    """Photo to drawing and back. The networks have the names of the published checkpoints."""

    def __init__(self, config: UGATITConfig, perception: Perception | None):
        super().__init__(config, perception)
        if config.one_way:
            self.directions = ('a2b',)
        for name in ('genA2B',) if config.one_way else ('genA2B', 'genB2A'):
            self.add_module(name, Generator(config.size, config.width, config.blocks, config.pooled, enhanced=config.enhanced,
                                            squeeze=config.squeeze, masks=config.masks, keep_input=config.keep_input,
                                            transposed=config.transposed))
        for place, layers in (('G', config.global_layers), ('L', config.local_layers)):
            for domain in '' if config.one_way else 'AB':
                discriminator = Discriminator(layers, config.discriminator_width, enhanced=config.enhanced, sn=config.sn,
                                attention=config.discriminator_attention and config.discriminator_cam > 0)
                self.add_module(f'dis{place}{domain}', discriminator)

    def discriminators(self, domain: str) -> tuple[Discriminator, Discriminator]:
        """The global and the local discriminator of domain A or B."""
        return self.get_submodule(f'disG{domain}'), self.get_submodule(f'disL{domain}')

    @property
    def needs_parser(self) -> bool:
        return self.config.needs_parser

    def param_groups(self):
        if self.config.one_way:
            raise ValueError('a family with model.one_way has one generator and no discriminators, and cannot be trained; leave '
                             'one_way away')
        if self.needs_parser and self.perception is not None and self.perception.parser is None:
            raise ValueError('masks of the face, and the losses background and variation, need a parser: set perception.parser')
        discriminators = [*self.discriminators('A'), *self.discriminators('B')]
        return {'generators': [*self.genA2B.parameters(), *self.genB2A.parameters()],
                'discriminators': [parameter for discriminator in discriminators for parameter in discriminator.parameters()]}

    def ema_modules(self):
        return {direction: self.generator_for(direction) for direction in self.directions}

    def after_update(self, group: str) -> None:
        """rho stays between the two norms that it mixes."""
        if group == 'generators':
            for module in self.modules():
                if isinstance(module, (AdaLIN, LIN)):
                    limit = self.config.rho_limit if isinstance(module, AdaLIN) else 1.0
                    module.rho.data.clamp_(0, limit)

    def forward(self, group: str, batch: PairBatch, step: int, cache: dict) -> dict[str, Tensor]:
        return self.generator_losses(batch, cache) if group == 'generators' else self.discriminator_losses(batch, cache)

    def head(self, images: Tensor) -> Tensor:
        """(B,1,H,W) in [0,1]."""
        with torch.no_grad():
            return head_region(self.perception.parser(images), hard=self.config.hard_edge,
                               without_glasses_and_mouth=self.config.glasses_and_mouth)

    def heads(self, batch: PairBatch) -> list[Tensor]:
        """Those of a and b, where something asks for them; otherwise none."""
        return [self.head(images) for images in (batch.a, batch.b)] if self.needs_parser else []

    def generator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        config, heads = self.config, self.heads(batch)
        head_a, head_b = heads or (None, None)
        own = self.is_active('identity_mapping') or self.is_active('cam')  # in one pass with the translation
        made_b, made_a = (generator(torch.cat([here, there]) if own else here)
                          for generator, here, there in ((self.genA2B, batch.a, batch.b), (self.genB2A, batch.b, batch.a)))
        count = len(batch)
        fake_a, fake_b = made_a.image[:count], made_b.image[:count]
        cache['fakes'] = [image.detach() for image in (fake_a, fake_b, *heads)]
        losses = {}
        for name, fake, domain, head in (('a2b', fake_b, 'B', head_a), ('b2a', fake_a, 'A', head_b)):
            if self.is_active(f'adversarial_{name}'):
                if config.detached_background:
                    fake = _learning_inside(fake, head)
                losses[f'adversarial_{name}'] = self.verdict(domain, [(fake, head, 1.0)])
        if self.is_active('cycle'):
            losses['cycle'] = F.l1_loss(self.genB2A(fake_b).image, batch.a) + F.l1_loss(self.genA2B(fake_a).image, batch.b)
        if self.is_active('identity_mapping'):
            losses['identity_mapping'] = F.l1_loss(made_a.image[count:], batch.a) + F.l1_loss(made_b.image[count:], batch.b)
        if self.is_active('cam'):
            losses['cam'] = sum(_cross_entropy(made.cam, count) for made in (made_a, made_b))
        if self.is_active('background'):
            losses['background'] = background_l1(fake_b, batch.a, erode(head_a)) + background_l1(fake_a, batch.b, erode(head_b))
        if self.is_active('variation'):
            losses['variation'] = total_variation(fake_b, inside=head_a) + total_variation(fake_a, inside=head_b)
        return losses

    def discriminator_losses(self, batch: PairBatch, cache: dict) -> dict[str, Tensor]:
        made = cache.get('fakes')
        if made is None:
            with torch.no_grad():
                made = [self.genB2A(batch.b).image, self.genA2B(batch.a).image, *self.heads(batch)]
        fake_a, fake_b, head_a, head_b = (*made, None, None)[:4]
        losses = {}
        for name, domain, real, head, fake, source_head in (('a2b', 'B', batch.b, head_b, fake_b, head_a),
                                                            ('b2a', 'A', batch.a, head_a, fake_a, head_b)):
            if self.is_active(f'discriminator_{name}'):
                parts = [(real, head, 1.0), (fake, source_head, 0.0)]
                if self.config.blurred_negatives:
                    parts.append((blur_edges(real), head, 0.0))
                losses[f'discriminator_{name}'] = self.verdict(domain, parts)
        return losses

    def verdict(self, domain: str, parts: list[tuple[Tensor, Tensor | None, float]]) -> Tensor:
        """Sum over parts (images (B,3,H,W), their head, what the discriminators should say) of how far the domain's
        discriminators are from that: one pass of each discriminator over all parts."""
        config, total = self.config, 0.0
        images = torch.cat([part[0] for part in parts])
        wanted = torch.cat([part[0].new_full((len(part[0]), 1), part[2]) for part in parts])  # (N,1)
        head = torch.cat([part[1] for part in parts]) if self.needs_parser else None
        judged = images * head if config.cam_input in ('image', 'both') else None
        mask = head if config.cam_input in ('map', 'both') else None
        for discriminator in self.discriminators(domain):
            patches, cam, _ = discriminator(images, judged, mask)
            total = total + _squared_error(patches, wanted[:, :, None, None], head if config.masked_discriminator else None)
            if config.discriminator_cam:
                total = total + config.discriminator_cam * _squared_error(cam, wanted)
        return len(parts) * total

    def generator_for(self, direction: str) -> Generator:
        return self.genA2B if direction == 'a2b' else self.genB2A

    def render(self, images: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.generator_for(direction)(images).image

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        shown = {}
        for direction in self.directions:
            images = getattr(batch, direction[0])
            made: Translation = self.generator_for(direction)(images)
            shown |= {direction[0]: images, direction: made.image.clamp(-1, 1),
                      f'heat {direction[0]}': heatmap_image(made.heatmap, images.shape[2:])}
            if made.attention is not None:
                shown[f'mask {direction[0]}'] = (2 * made.attention[:, :1] - 1).clamp(-1, 1).expand(-1, 3, -1, -1)
        return shown


@full_precision
def _squared_error(logits: Tensor, wanted: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean of (logit - wanted)^2. region (B,1,H,W) in [0,1] scales the differences of patch logits (B,1,h,w)."""
    error = logits - wanted
    if region is not None:
        error = error * F.interpolate(region, error.shape[2:], mode='area')
    return error.square().mean()


@full_precision
def _cross_entropy(logits: Tensor, count: int) -> Tensor:
    """Binary cross entropy of logits (B,2), of which the first `count` rows should say 1 and the others 0."""
    return F.softplus(-logits[:count]).mean() + F.softplus(logits[count:]).mean()


@full_precision
def _learning_inside(images: Tensor, region: Tensor) -> Tensor:
    """(B,3,H,W) unchanged, whose gradient is scaled by the region (B,1,H,W) in [0,1]."""
    return images.detach().lerp(images, region)
