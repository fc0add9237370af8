"""U-GAT-IT (Kim et al. 2020, arXiv:1907.10830), light and full, and all that its enhanced version adds.

For each domain a generator into it and two critics, global and local. "Say x" means the mean of (logit - x)^2 over the patch
logits plus that over the classifier's, summed over the domain's two critics. Terms of a2b concern domain b, of b2a domain a.

| term                    | formula                                                                              | player     |
| ----------------------- | ------------------------------------------------------------------------------------ | ---------- |
| adversarial_a2b, _b2a   | the critics are to say 1 of translations                                             | generators |
| cycle                   | L1 of the picture translated there and back, both ways                               | generators |
| identity                | L1 of a picture with its translation into the domain where it is already, both ways  | generators |
| cam                     | cross entropy of the generators' classifiers: 1 from the other domain, 0 from theirs | generators |
| background              | L1 of translation and source outside the head, both ways                             | generators |
| variation               | total variation of the translation inside the head, both ways                        | generators |
| critic_a2b, _b2a        | say 1 of real pictures, 0 of translations (and of pictures with blurred edges)       | critics    |

The generators are updated first, and the critics judge the very translations that this update was made from, so that each is
made once per step; in the published order, critics first, it is made twice. Weights of a2b weigh a to b: the enhanced version's
code has its "forward" weight on the other direction than its description says.
"""
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from models.base import FamilyConfig, Perception
from models.batch import PairBatch
from models.blocks.cam import heat_picture
from models.blocks.edges import without_edges
from models.blocks.norms import LIN, AdaLIN
from models.losses.background import background_l1
from models.losses.smoothness import total_variation
from models.translation.face_region import head_region, shrunk
from models.translation.translator import Translator
from models.translation.ugatit_networks import Critic, Generator, Translated


class UGATITConfig(FamilyConfig):
    """size: side of the pictures, a multiple of 4. width, critic_width: channels after the first layer. blocks: residual blocks
    before and after the heat map. pooled: side of the pooled map from which AdaLIN's scale and shift come: 1 is the light
    version, 0 the full one.

    The rest is the enhanced version's; the defaults are the published U-GAT-IT.
    enhanced: its networks (affine norms, biases, the classifier's bias in the heat map). rho_limit: up to which rho of AdaLIN may
    grow (there 0.9). squeeze: scSE in the generators' blocks. masks: k > 0 soft masks that mix k pictures, of which with
    keep_input the first is the input. transposed: transposed convolutions in the generators. global_layers, local_layers: depth
    of the critics. sn: spectral norm in the critics (the flag of that name there turns it off).
    critic_cam: weight of the critics' classifiers beside their patches; 0 leaves them out, their attention too.
    critic_attention: whether the critics weigh their map by what the classifiers look at (the flag there turns it off).

    What the head is, the parser tells, from the source picture:
    masked_critic: patches of background count as right whatever the critics say. detached_background: background of a
    translation does not learn from the critics. cam_sees: what the critics' classifiers see: the whole picture, the picture
    without background, the map without background, or both of these. glasses_and_mouth: they count as background. hard_edge: the
    head ends with a step.

    blurred_negatives: the critics are also shown pictures whose edges are blurred, as fakes. one_way: genA2B alone, as weights
    that are passed on may hold it; such a family translates a to b and is not trained.

    Elsewhere: EMA (engine.ema, engine.ema_from), decay of the learning rate (players.*.schedule; there the flag "no decay" turns
    it on), random crops and matched histograms (data.crops, data.matching).
    """

    size: int = 256
    width: int = 64
    critic_width: int = 64
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
    critic_cam: float = 1.0
    critic_attention: bool = True
    masked_critic: bool = False
    detached_background: bool = False
    cam_sees: Literal['whole', 'picture', 'map', 'both'] = 'whole'
    glasses_and_mouth: bool = False
    hard_edge: bool = False
    blurred_negatives: bool = False
    one_way: bool = False
    weights: dict[str, float] = {'adversarial_a2b': 1.0, 'adversarial_b2a': 1.0, 'cycle': 10.0, 'identity': 10.0, 'cam': 1000.0,
                                 'background': 0.0, 'variation': 0.0, 'critic_a2b': 1.0, 'critic_b2a': 1.0}


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
                critic = Critic(layers, config.critic_width, enhanced=config.enhanced, sn=config.sn,
                                attention=config.critic_attention and config.critic_cam > 0)
                self.add_module(f'dis{place}{domain}', critic)

    def critics(self, domain: str) -> tuple[Critic, Critic]:
        """The global and the local critic of domain A or B."""
        return self.get_submodule(f'disG{domain}'), self.get_submodule(f'disL{domain}')

    @property
    def asks_parser(self) -> bool:
        config = self.config
        return (config.masked_critic or config.detached_background or config.cam_sees != 'whole'
                or self.wants('background') or self.wants('variation'))

    def players(self):
        if self.config.one_way:
            raise ValueError('a family with model.one_way has one generator and no critics, and cannot be trained; leave '
                             'one_way away')
        if self.asks_parser and self.perception is not None and self.perception.parser is None:
            raise ValueError('masks of the face, and the terms background and variation, need a parser: set perception.parser')
        critics = [*self.critics('A'), *self.critics('B')]
        return {'generators': [*self.genA2B.parameters(), *self.genB2A.parameters()],
                'critics': [parameter for critic in critics for parameter in critic.parameters()]}

    def averaged(self):
        return {direction: self.generator_of(direction) for direction in self.directions}

    def after_update(self, player: str) -> None:
        """rho stays between the two norms that it mixes."""
        if player == 'generators':
            for module in self.modules():
                if isinstance(module, (AdaLIN, LIN)):
                    limit = self.config.rho_limit if isinstance(module, AdaLIN) else 1.0
                    module.rho.data.clamp_(0, limit)

    def forward(self, player: str, batch: PairBatch, step: int) -> dict[str, Tensor]:
        return self.generator_terms(batch, step) if player == 'generators' else self.critic_terms(batch, step)

    def head(self, pictures: Tensor) -> Tensor:
        """(B,1,H,W) in [0,1]."""
        with torch.no_grad():
            return head_region(self.perception.parser(pictures), hard=self.config.hard_edge,
                               without_glasses_and_mouth=self.config.glasses_and_mouth)

    def heads(self, batch: PairBatch) -> list[Tensor]:
        """Those of a and b, where something asks for them; otherwise none."""
        return [self.head(pictures) for pictures in (batch.a, batch.b)] if self.asks_parser else []

    def generator_terms(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        config, heads = self.config, self.heads(batch)
        head_a, head_b = heads or (None, None)
        own = self.wants('identity') or self.wants('cam')  # in one pass with the translation
        made_b, made_a = (generator(torch.cat([here, there]) if own else here)
                          for generator, here, there in ((self.genA2B, batch.a, batch.b), (self.genB2A, batch.b, batch.a)))
        count = len(batch)
        fake_a, fake_b = made_a.picture[:count], made_b.picture[:count]
        self.keep(batch, step, fake_a, fake_b, *heads)
        terms = {}
        for name, fake, domain, head in (('a2b', fake_b, 'B', head_a), ('b2a', fake_a, 'A', head_b)):
            if self.wants(f'adversarial_{name}'):
                if config.detached_background:
                    fake = fake.detach().lerp(fake, head)
                terms[f'adversarial_{name}'] = self.verdict(domain, [(fake, head, 1.0)])
        if self.wants('cycle'):
            terms['cycle'] = F.l1_loss(self.genB2A(fake_b).picture, batch.a) + F.l1_loss(self.genA2B(fake_a).picture, batch.b)
        if self.wants('identity'):
            terms['identity'] = F.l1_loss(made_a.picture[count:], batch.a) + F.l1_loss(made_b.picture[count:], batch.b)
        if self.wants('cam'):
            terms['cam'] = sum(F.softplus(-made.cam[:count]).mean() + F.softplus(made.cam[count:]).mean()
                               for made in (made_a, made_b))
        if self.wants('background'):
            terms['background'] = background_l1(fake_b, batch.a, shrunk(head_a)) + background_l1(fake_a, batch.b, shrunk(head_b))
        if self.wants('variation'):
            terms['variation'] = total_variation(fake_b, inside=head_a) + total_variation(fake_a, inside=head_b)
        return terms

    def critic_terms(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        made = self.kept(batch, step)
        if made is None:
            with torch.no_grad():
                made = [self.genB2A(batch.b).picture, self.genA2B(batch.a).picture, *self.heads(batch)]
        fake_a, fake_b, head_a, head_b = (*made, None, None)[:4]
        terms = {}
        for name, domain, real, head, fake, source_head in (('a2b', 'B', batch.b, head_b, fake_b, head_a),
                                                            ('b2a', 'A', batch.a, head_a, fake_a, head_b)):
            if self.wants(f'critic_{name}'):
                parts = [(real, head, 1.0), (fake, source_head, 0.0)]
                if self.config.blurred_negatives:
                    parts.append((without_edges(real), head, 0.0))
                terms[f'critic_{name}'] = self.verdict(domain, parts)
        return terms

    def verdict(self, domain: str, parts: list[tuple[Tensor, Tensor | None, float]]) -> Tensor:
        """Sum over parts (pictures (B,3,H,W), their head, what the critics should say) of how far the domain's critics are from
        that: one pass of each critic over all parts."""
        config, total = self.config, 0.0
        pictures = torch.cat([part[0] for part in parts])
        wanted = torch.cat([part[0].new_full((len(part[0]), 1), part[2]) for part in parts])  # (N,1)
        head = torch.cat([part[1] for part in parts]) if self.asks_parser else None
        judged = pictures * head if config.cam_sees in ('picture', 'both') else None
        mask = head if config.cam_sees in ('map', 'both') else None
        for critic in self.critics(domain):
            patches, cam, _ = critic(pictures, judged, mask)
            off = patches - wanted[:, :, None, None]
            if config.masked_critic:
                off = off * F.interpolate(head, off.shape[2:], mode='area')
            total = total + off.square().mean()
            if config.critic_cam:
                total = total + config.critic_cam * (cam - wanted).square().mean()
        return len(parts) * total

    def generator_of(self, direction: str) -> Generator:
        return self.genA2B if direction == 'a2b' else self.genB2A

    def draw(self, pictures: Tensor, direction: str, reference: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return self.generator_of(direction)(pictures).picture

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        shown = {}
        for direction in self.directions:
            pictures = getattr(batch, direction[0])
            made: Translated = self.generator_of(direction)(pictures)
            shown |= {direction[0]: pictures, direction: made.picture.clamp(-1, 1),
                      f'heat {direction[0]}': heat_picture(made.heatmap, pictures.shape[2:])}
            if made.attention is not None:
                shown[f'mask {direction[0]}'] = (2 * made.attention[:, :1] - 1).clamp(-1, 1).expand(-1, 3, -1, -1)
        return shown
