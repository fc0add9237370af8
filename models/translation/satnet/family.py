"""SATNet: MUNIT with self-attention, spectral normalization and an identity loss, for photos and caricatures.

In addition to the losses of models.translation.content_style.family:

| loss       | group      | formula, sum over both directions                                                                  |
| ---------- | ---------- | -------------------------------------------------------------------------------------------------- |
| id         | generators | models.losses.identity of the teacher's embeddings of translation and source, in one of three forms |
| supervised | generators | if a and b have one identity: L1 of a's content in b's style and b, and vice versa              |

The publication describes the form `hinge`; its code contains a mixture of several forms that does not run. The form `distilled`,
which its author proposes as future work, preserves the similarities of the source to the other images of the batch.
"""
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from configs.base import needing
from models.batch import PairBatch
from models.losses.identity import cosine_id_loss, distillation_id_loss, hinge_id_loss
from models.losses.reconstruction import reconstruction_l1
from models.translation.content_style.family import ContentStyle, ContentStyleConfig


class SATNetConfig(ContentStyleConfig):
    """Networks and losses of SATNet."""

    size: int = Field(224, description='side of the images in pixels, a multiple of 4')
    scales: int = Field(2, description='discriminators per domain, each at half the resolution of the one before')
    adversary: Literal['hinge', 'lsgan'] = Field('hinge', description='form of the adversarial loss')
    attention: bool = Field(True, description='self-attention in generators and discriminators')
    sn: bool = Field(True, description='spectral normalization of the discriminators')
    id_loss_form: Literal['hinge', 'distance', 'distilled'] = Field('hinge', description='form of the identity loss; distilled '
                                                                                         'needs a batch of at least 3')
    threshold: float = Field(0.2875, description='cosine from which on the hinge is 0')
    weights: dict[str, float] = Field({'adversarial': 1.0, 'reconstruction': 10.0, 'style': 1.0, 'content': 1.0, 'cycle': 1.0,
                                       'perceptual': 0.0, 'id': 10.0, 'supervised': 0.0, 'discriminator': 1.0},
                                      description='weight of each loss')

    def networks(self) -> set[str]:
        return super().networks() | ({'teacher'} if self.is_active('id') else set())

    def ignored(self) -> dict[str, str]:
        form = self.id_loss_form if self.is_active('id') else None
        return {**super().ignored(), **needing('a weight of id', form, 'id_loss_form'),
                **needing('model.id_loss_form=hinge', form == 'hinge', 'threshold')}


class SATNet(ContentStyle):
    """Translation in both directions. The teacher of the publication is a SphereFace fine-tuned on drawings and photos."""

    config: SATNetConfig

    def additional_losses(self, batch: PairBatch, fakes: dict[str, Tensor],
                          codes: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        losses = {}
        if self.is_active('id'):
            losses['id'] = self.id_loss(fakes['b'], batch.a) + self.id_loss(fakes['a'], batch.b)
        if self.is_active('supervised'):
            same_identity = batch.paired
            if batch.a_label is not None and batch.b_label is not None:
                same_identity = same_identity | (batch.a_label == batch.b_label)
            (content_a, style_a), (content_b, style_b) = codes['a'], codes['b']
            losses['supervised'] = (reconstruction_l1(self.autoencoder('b').decode(content_a, style_b), batch.b, same_identity)
                                    + reconstruction_l1(self.autoencoder('a').decode(content_b, style_a), batch.a, same_identity))
        return losses

    def id_loss(self, translation: Tensor, source: Tensor) -> Tensor:
        """The identity loss of one direction for images (B,3,H,W), a scalar."""
        embedding = self.perception.teacher(translation)
        with torch.no_grad():
            source_embedding = self.perception.teacher(source)
        if self.config.id_loss_form == 'hinge':
            return hinge_id_loss(embedding, source_embedding, threshold=self.config.threshold)
        loss = {'distance': cosine_id_loss, 'distilled': distillation_id_loss}[self.config.id_loss_form]
        return loss(embedding, source_embedding)
