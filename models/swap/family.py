"""Base of the face swapping families."""
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor

from configs.base import needing
from models.base import METRICS_EVERY, Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.swap.conditions import SwapConditions, dilated_face, swap_conditions
from models.swap.losses import SWAP_LOSS_WEIGHTS, RenderedSwap
from models.swap.reversal import reversed_pairs


class SwapFamilyConfig(FamilyConfig):
    """Settings of every swap family. Jitter (Xie et al. 2019) and blend (Zhang et al. 2018) prevent swaps that are similar to the
    source for the teacher but not for other embedders."""

    margin: int = Field(3, description='pixels, at an image size of 128, by which the face mask is dilated before the '
                                       'background image is cut out')
    parsing: bool = Field(True, description="condition on the target's one-hot parsing map instead of its face mask")
    jitter: float = Field(0.0, ge=0, le=0.2, description="largest random shift, rotation and scaling of the swap in front of the "
                                                         'embedders in training, as fractions')
    blend: float = Field(0.0, ge=0, le=1, description='fraction of the pairs without an expected swap that are conditioned on a '
                                                      'mixture of two sources in training')
    reversed: float = Field(0.0, ge=0, le=1, description='fraction of the pairs of one identity that become reversed pairs: '
                                                         'perception.reverser swaps another source onto the target, which is '
                                                         'the expected swap')
    weights: dict[str, float] = Field(SWAP_LOSS_WEIGHTS, description='weight of each loss; a loss of weight 0 is not computed')

    def networks(self) -> set[str]:
        optional = {'landmarks': 'landmarks', 'distillation': 'distillation_teacher'}
        networks = {network for loss, network in optional.items() if self.is_active(loss)}
        return {'id_encoder', 'parser', 'teacher'} | networks | ({'reverser'} if self.reversed else set())

    def ignored(self) -> dict[str, str]:
        return needing('a weight of id, id_drift or id_encoder', self.is_active('id', 'id_drift', 'id_encoder'), 'jitter')

    @property
    def margin_px(self) -> int:
        """The margin in pixels of this size, at least 1."""
        return max(1, round(self.margin * self.size / 128))

    @property
    def condition_channels(self) -> int:
        """Channels of SwapConditions.parsing_onehot."""
        return len(PARTS) if self.parsing else 1


class SwapFamily(Family):
    """A family that transfers the source's identity to the target.

    The perception provides an id encoder, a teacher and a parser; the losses landmarks and distillation need the networks of
    these names. Raises ValueError if the losses do not fit each other or the perception.
    """

    task = 'swap'
    config: SwapFamilyConfig

    def __init__(self, config: SwapFamilyConfig, perception: Perception | None):
        super().__init__(config, perception)
        if config.jitter and self.is_active('perceptual'):
            raise ValueError('the loss perceptual compares swap and target pixel by pixel, which the jitter displaces: set '
                             'model.jitter=0 or model.weights.perceptual=0')
        if config.blend and self.is_active('classes'):
            raise ValueError('a mixture of two identities belongs to no class: set model.blend=0 or model.weights.classes=0')
        teacher = None if perception is None else perception.distillation_teacher
        if self.is_active('distillation') and teacher is not None:
            teacher_size = teacher.config.size
            if teacher_size != config.size:
                raise ValueError(f'the distillation teacher generates images of {teacher_size} pixels, this family of '
                                 f'{config.size}: set the same model.size for both')

    def training_batch(self, batch: SwapBatch, cache: dict) -> SwapBatch:
        """The batch with the fraction `reversed` of reversed pairs, which are rendered once per step."""
        if not self.config.reversed or not self.training:
            return batch
        if 'batch' not in cache:
            labeled = replace(batch, target_parsing=self.labels(batch), source_embedding=self.source_embedding(batch))
            parser, reverser = self.perception.require('parser'), self.perception.require('reverser')
            cache['batch'] = reversed_pairs(labeled, reverser, parser.labels, self.config.reversed)
        return cache['batch']

    def labels(self, batch: SwapBatch) -> Tensor:
        """(B,H,W): parsing labels of the targets, from the batch if it has them, otherwise from the parser."""
        if batch.target_parsing is not None:
            return batch.target_parsing
        with torch.no_grad():
            return self.perception.require('parser').labels(batch.target)

    def source_embedding(self, batch: SwapBatch) -> Tensor:
        """(B,D) unit length: identity embeddings of the sources, from the batch if it has them, otherwise from the encoder."""
        if batch.source_embedding is not None:
            return batch.source_embedding
        with torch.no_grad():
            return self.perception.id_encoder(batch.source)

    def conditions(self, target: Tensor, labels: Tensor) -> SwapConditions:
        """Conditions from targets (B,3,H,W) and their parsing labels (B,H,W)."""
        return swap_conditions(target, labels, parsing=self.config.parsing, margin_px=self.config.margin_px)

    def dilated_face(self, face: Tensor) -> Tensor:
        """The face mask (B,1,H,W), dilated by the margin: the region that is hidden in the background image."""
        return dilated_face(face, self.config.margin_px)

    def log_swap_metrics(self, swap: RenderedSwap, step: int) -> None:
        """Record the id similarity of swaps to source and target, every METRICS_EVERY steps."""
        if step % METRICS_EVERY == 0:
            self.log_id_similarity(swap.teacher_output[0], swap.target_id, swap.batch)
