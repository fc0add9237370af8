"""SATNet: MUNIT with self-attention and spectral norm, made for photos and caricatures of people, who are to remain themselves.

Beside the losses of models.translation.content_style.family:

| loss       | group      | formula, both directions added                                                                 |
| ---------- | ---------- | ---------------------------------------------------------------------------------------------- |
| id         | generators | models.losses.identity, of the teacher's view of translation and source, in one of three forms |
| supervised | generators | where a and b show one person: L1 of a's content in b's own style and b itself, and vice versa |

Of the identity loss the study describes the hinge; its code ends in a mixture of several forms that cannot run. `distilled` is
the form that its author wished for: the neighbourhood of the source among the batch's other people is what must be kept.
"""
from typing import Literal

import torch
from torch import Tensor

from configs.base import needing
from models.batch import PairBatch
from models.losses.identity import cosine_id_loss, distillation_id_loss, hinge_id_loss
from models.losses.reconstruction import reconstruction_l1
from models.translation.content_style.family import ContentStyle, ContentStyleConfig


class SATNetConfig(ContentStyleConfig):
    """id_loss_form: form of the identity loss; threshold: the cosine from which on the hinge asks no more. distilled needs a
    batch of at least 3."""

    size: int = 224
    scales: int = 2
    adversary: Literal['hinge', 'lsgan'] = 'hinge'
    attention: bool = True
    sn: bool = True
    id_loss_form: Literal['hinge', 'distance', 'distilled'] = 'hinge'
    threshold: float = 0.2875
    weights: dict[str, float] = {'adversarial': 1.0, 'reconstruction': 10.0, 'style': 1.0, 'content': 1.0, 'cycle': 1.0,
                                 'perceptual': 0.0, 'id': 10.0, 'supervised': 0.0, 'discriminator': 1.0}

    def networks(self) -> set[str]:
        return super().networks() | ({'teacher'} if self.is_active('id') else set())

    def ignored(self) -> dict[str, str]:
        form = self.identity if self.is_active('id') else None
        return {**super().ignored(), **needing('a weight of id', form, 'id_loss_form'),
                **needing('model.identity=hinge', form == 'hinge', 'threshold')}


class SATNet(ContentStyle):
    """The perception's teacher looks at translations; the published one is a SphereFace fine-tuned on drawings and photos."""

    def further_losses(self, batch: PairBatch, fakes: dict[str, Tensor],
                      codes: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        losses = {}
        if self.is_active('id'):
            losses['id'] = self.id_similarity(fakes['b'], batch.a) + self.id_similarity(fakes['a'], batch.b)
        if self.is_active('supervised'):
            one_person = batch.paired
            if batch.a_label is not None and batch.b_label is not None:
                one_person = one_person | (batch.a_label == batch.b_label)
            (content_a, style_a), (content_b, style_b) = codes['a'], codes['b']
            losses['supervised'] = (reconstruction_l1(self.gen['b'].decode(content_a, style_b), batch.b, one_person)
                                   + reconstruction_l1(self.gen['a'].decode(content_b, style_a), batch.a, one_person))
        return losses

    def training_embedders(self) -> set[str]:
        return {'teacher'} if self.is_active('id') else set()

    def id_similarity(self, translation: Tensor, source: Tensor) -> Tensor:
        """The identity loss of one direction for images (B,3,H,W)."""
        seen = self.perception.teacher(translation)
        with torch.no_grad():
            wanted = self.perception.teacher(source)
        if self.config.id_loss_form == 'hinge':
            return hinge_id_loss(seen, wanted, threshold=self.config.threshold)
        return {'distance': cosine_id_loss, 'distilled': distillation_id_loss}[self.config.id_loss_form](seen, wanted)
