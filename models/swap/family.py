"""What the swap families have in common: how a batch becomes conditions, and the losses that look at nothing but the swap.

| loss            | formula                                                        | where        | source               |
| --------------- | -------------------------------------------------------------- | ------------ | -------------------- |
| reconstruction  | mean abs(swap - target)                                        | same person  | SimSwap eq. 5        |
| edges           | mean abs(difference of the Laplacians of swap and target)      | same person  | Denton 2015          |
| perceptual      | L1 of the teacher's inner maps of swap and target              | same person  | Johnson 2016 eq. 2   |
| id              | 1 - cos(teacher(swap), teacher(source))                        | all          | SimSwap eq. 3        |
| id_encoder      | 1 - cos(encoder(swap), the identity that it was given)         | all          | SimSwap eq. 3        |
| id_drift        | (mean of teacher(swap) - mean of teacher(source))^2, unbiased  | other people | Gretton 2012 eq. 3   |
| background      | mean abs(swap - target) outside the target's face mask         | all          | ours                 |
| parsing         | cross entropy of the swap's parsing with the target's, in face | other people | ours                 |
| landmarks       | L1 of the five landmarks of swap and target, in eye distances  | other people | ours                 |
| shading         | L1 of mean colors in a 12x12 grid, in face                     | other people | ours                 |
| contrast        | L1 of the Laplacian's local root mean square, in face          | all          | ours                 |
| total_variation | mean abs difference of neighboring pixels                      | all          | Mahendran 2015 eq. 6 |
| distillation    | mean abs(swap - what a trained swapper draws)                  | other people | Hinton 2015          |
"""
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from configs.base import needing
from models.base import NOTE_EVERY, Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.blocks.background import push_pull_fill
from models.losses.background import background_l1
from models.losses.identity import cosine_id_loss, id_drift_loss
from models.losses.perceptual import parsing_agreement, perceptual_l1
from models.losses.reconstruction import contrast_l1, edges_l1, reconstruction_l1, shading_l1
from models.losses.smoothness import total_variation
from models.perception.parsers.parser import face_mask
from models.precision import full_precision, normalized

MAPS = 2  # how many of the teacher's maps the perceptual loss compares


class SwapFamilyConfig(FamilyConfig):
    """margin: pixels, for an image of 128, by which the face mask is widened before the background is handed over. parsing: tell
    the networks the target's parsing map, not its face mask alone.

    Against swaps that please the teacher and nobody else: jitter, how far the teacher's view of the swap is moved, turned and
    scaled at random (Embedder.aligned), as in Xie et al. 2019; blend, share of the swaps between different people that are to
    show a mixture of two sources, as in Zhang et al. 2018."""

    margin: int = 3
    parsing: bool = True
    jitter: float = Field(0.0, ge=0, le=0.2)
    blend: float = Field(0.0, ge=0, le=1)

    def networks(self) -> set[str]:
        return {'id_encoder', 'parser', 'teacher', *filter(self.is_active, ('landmarks', 'distillation'))}

    def ignored(self) -> dict[str, str]:
        return needing('a weight of id, id_drift or id_encoder', self.is_active('id', 'id_drift', 'id_encoder'), 'jitter')

    @property
    def condition_channels(self) -> int:
        """Channels of the shape that the networks are told."""
        return len(PARTS) if self.parsing else 1


class SwapFamily(Family):
    """A family that puts the source's identity on the target; the perception needs an identity encoder, a teacher, a parser; for
    the loss landmarks their finder."""

    task = 'swap'
    config: SwapFamilyConfig

    def __init__(self, config: SwapFamilyConfig, perception: Perception | None):
        super().__init__(config, perception)
        self.require('distillation_teacher', 'distillation')
        if config.jitter and self.is_active('perceptual'):
            raise ValueError('the loss perceptual compares swap and target place by place, which the jitter displaces: set '
                             'model.jitter=0 or model.weights.perceptual=0')
        if config.blend and self.is_active('classes'):
            raise ValueError('a mixture of two people belongs to no class: set model.blend=0 or model.weights.classes=0')
        if (
            self.is_active('distillation')
            and perception is not None
            and perception.distillation_teacher.config.size != config.size
        ):
            raise ValueError(
                f'the guide draws images of {perception.distillation_teacher.config.size} pixels, this family {config.size}: '
                'give both the same model.size'
            )

    def labels(self, batch: SwapBatch) -> Tensor:
        """(B,H,W) parsing labels of the target: the batch's own, or the parser's."""
        if batch.target_parsing is not None:
            return batch.target_parsing
        with torch.no_grad():
            return self.perception.parser.labels(batch.target)

    def identities(self, batch: SwapBatch) -> Tensor:
        """(B,D) unit length: whom the swap is to show."""
        if batch.source_embedding is not None:
            return batch.source_embedding
        with torch.no_grad():
            return self.perception.id_encoder(batch.source)

    def mixture(self, batch: SwapBatch) -> Callable[[Tensor], Tensor]:
        """Unit vectors (B,D) of the sources -> those of whom the swaps are to show: by chance a mixture with another source."""
        if not (self.config.blend and self.training):
            return lambda vectors: vectors
        count, device = len(batch), batch.target.device
        share, lot = torch.rand(2, count, 1, device=device)
        share = share * ((lot < self.config.blend) & ~batch.same[:, None])
        other = torch.randperm(count, device=device)
        return lambda vectors: _blended(vectors, vectors[other], share)

    def widened(self, face: Tensor) -> Tensor:
        """The face mask (B,1,H,W) grown by the margin: what is hidden from a background path."""
        grow = max(1, round(self.config.margin * self.config.size / 128))
        return F.max_pool2d(face, 2 * grow + 1, 1, grow)

    def conditions(self, target: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks are told: shape (B,condition channels,H,W), background image (B,3,H,W), the target with its face
        hidden under a continuation of its surroundings, and face (B,1,H,W)."""
        face = face_mask(labels)
        shape = F.one_hot(labels, len(PARTS)).permute(0, 3, 1, 2).to(target.dtype) if self.config.parsing else face
        return shape, push_pull_fill(target, self.widened(face)), face

    def id_similarity(self, identity: Tensor, wanted: Tensor) -> Tensor:
        """The loss `id` for unit vectors (B,D) of swap and source."""
        return cosine_id_loss(identity, wanted)

    def swap_losses(self, swap: Tensor, batch: SwapBatch, labels: Tensor, face: Tensor, given: Tensor,
                   mixture: Callable[[Tensor], Tensor], step: int) -> dict[str, Tensor]:
        """The wanted losses of the table above. swap (B,3,H,W), labels (B,H,W), face (B,1,H,W). given (B,D): the identities that
        the swap was made with, mixed by `mixture`."""
        losses, other = self._seen_by_teacher(swap, batch, given, mixture, step), ~batch.same
        if self.is_active('reconstruction'):
            losses['reconstruction'] = reconstruction_l1(swap, batch.target, batch.same)
        if self.is_active('edges'):
            losses['edges'] = edges_l1(swap, batch.target, batch.same)
        if self.is_active('background'):
            losses['background'] = background_l1(swap, batch.target, face)
        losses |= self._of_others(swap[other], batch.target[other], labels[other], face[other])
        if self.is_active('distillation'):
            losses['distillation'] = self._guided(swap, batch, labels, given)
        if self.is_active('contrast'):
            losses['contrast'] = contrast_l1(swap, batch.target, face)
        if self.is_active('total_variation'):
            losses['total_variation'] = total_variation(swap)
        return losses

    def _of_others(self, swap: Tensor, target: Tensor, labels: Tensor, face: Tensor) -> dict[str, Tensor]:
        """The losses for pairs of different people; 0 where the batch has none."""
        found = {'parsing': lambda: parsing_agreement(self.perception.parser(swap), labels, face),
                 'landmarks': lambda: self._landmark_distance(swap, target), 'shading': lambda: shading_l1(swap, target, face)}
        return {name: loss() if len(swap) else swap.sum() for name, loss in found.items() if self.is_active(name)}

    def _landmark_distance(self, swap: Tensor, target: Tensor) -> Tensor:
        """Mean distance along an axis between the landmarks of (B,3,H,W) images."""
        self.require('landmarks', 'landmarks')
        with torch.no_grad():
            answer = self.perception.landmarks(target)
        return (self.perception.landmarks(swap) - answer).abs().mean()

    def _guided(self, swap: Tensor, batch: SwapBatch, labels: Tensor, given: Tensor) -> Tensor:
        """The loss `distillation`: swaps between different people have no true answer, a swapper that is trained already gives
        one."""
        answer = self.perception.distillation_teacher.generate(replace(batch, target_parsing=labels, source_embedding=given))
        return reconstruction_l1(swap, answer, ~batch.same)

    def _seen_by_teacher(self, swap: Tensor, batch: SwapBatch, given: Tensor, mixture: Callable[[Tensor], Tensor],
                         step: int) -> dict[str, Tensor]:
        """The losses `id`, `id_drift`, `id_encoder` and `perceptual`, with one pass of the teacher over the swap. The wanted
        identities are the given ones where one network is both encoder and teacher."""
        teacher, losses, noting = self.perception.teacher, {}, step % NOTE_EVERY == 0
        jitter = self.config.jitter if self.training else 0.0
        if self.is_active('id_encoder'):
            found = self.perception.id_encoder.embedding_and_maps(swap, 0, jitter=jitter)[0]
            losses['id_encoder'] = cosine_id_loss(found, given)
        if not (any(map(self.is_active, ('perceptual', 'id', 'id_drift'))) or noting):
            return losses
        identity, maps = teacher.embedding_and_maps(swap, MAPS, jitter=jitter)
        if self.is_active('perceptual'):
            with torch.no_grad():
                answers = teacher.maps(batch.target, MAPS)
            losses['perceptual'] = perceptual_l1(maps, answers, batch.same)
        if self.is_active('id') or self.is_active('id_drift') or noting:
            with torch.no_grad():
                wanted = given if teacher is self.perception.id_encoder else mixture(teacher(batch.source))
        if self.is_active('id'):
            losses['id'] = self.id_similarity(identity, wanted)
        if self.is_active('id_drift'):
            losses['id_drift'] = id_drift_loss(identity[~batch.same], wanted[~batch.same])
        if noting:
            self.note_id_similarity(identity, wanted, batch)
        return losses


@full_precision
def _blended(vectors: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Unit vectors (B,D) of which the share (B,1) comes from the others (B,D)."""
    return normalized(torch.lerp(vectors, others, share))
