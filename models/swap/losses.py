"""Losses of a rendered swap that need no network of the family.

A loss is a function of a RenderedSwap that returns an unweighted scalar, and an entry of SWAP_LOSSES. Each swap family has a
weight for it. A pair has an expected swap (rendered faces, reversed pairs, and pairs of one identity, whose expected swap is the
target) or none; a loss of one kind of pairs is 0 for a batch of the other. `real` is the expected swap if there is one, otherwise
the target.

| loss            | formula                                                        | expected swap | source               |
| --------------- | -------------------------------------------------------------- | ------------- | -------------------- |
| id_encoder      | 1 - cos(encoder(swap), conditioning embedding)                 | any           | SimSwap eq. 3        |
| perceptual      | L1 of the teacher's feature maps of swap and real              | with          | Johnson 2016 eq. 2   |
| id              | 1 - cos(teacher(swap), teacher(source))                        | any           | SimSwap eq. 3        |
| id_drift        | (mean of teacher(swap) - mean of teacher(source))^2, unbiased  | without       | Gretton 2012 eq. 3   |
| reconstruction  | mean abs(swap - real)                                          | with          | SimSwap eq. 5        |
| edges           | mean abs(difference of the Laplacians of swap and real)        | with          | Denton 2015          |
| background      | mean abs(swap - real) outside the target's face mask           | any           |                      |
| parsing         | cross entropy of the swap's parsing with the target's, in face | without       |                      |
| landmarks       | L1 of the five landmarks of swap and target, in eye distances  | without       |                      |
| shading         | L1 of mean colors in a 12x12 grid, in face                     | without       |                      |
| distillation    | mean abs(swap - swap of the distillation teacher)              | without       | Hinton 2015          |
| contrast        | L1 of the Laplacian's local root mean square of swap and real  | any           |                      |
| total_variation | mean abs difference of neighboring pixels                      | any           | Mahendran 2015 eq. 6 |
"""
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from models.base import Perception
from models.batch import SwapBatch
from models.losses.background import background_l1
from models.losses.identity import cosine_id_loss, id_drift_loss
from models.losses.parsing import parsing_agreement
from models.losses.perceptual import perceptual_l1
from models.losses.reconstruction import contrast_l1, edges_l1, reconstruction_l1, shading_l1
from models.losses.smoothness import total_variation

TEACHER_MAPS = 2  # feature maps of the teacher that the perceptual loss compares


class UnsupervisedPairs(NamedTuple):
    """Rows without an expected swap, N of the B rows of the batch."""

    swap: Tensor    # (N,3,H,W)
    target: Tensor  # (N,3,H,W)
    labels: Tensor  # (N,H,W)
    face: Tensor    # (N,1,H,W)


@dataclass
class RenderedSwap:
    """A rendered swap with the inputs of its losses. Values that several losses use are computed once, at first access.

    image: (B,3,H,W) in [-1,1], the swap. batch: the inputs of the swap. labels: (B,H,W), parsing labels of the target.
    face: (B,1,H,W), the target's face mask. embedding: (B,D), the embedding that conditioned the generator. mix: embeddings
    (B,D) of the sources -> those of the swaps (models.swap.conditions.identity_mixer). jitter: random similarity transform of
    the swap in front of the embedders, 0 for none (Embedder.aligned). id_form: the loss `id` of two (B,D).
    """

    image: Tensor
    batch: SwapBatch
    labels: Tensor
    face: Tensor
    embedding: Tensor
    perception: Perception
    mix: Callable[[Tensor], Tensor] = lambda embeddings: embeddings
    jitter: float = 0.0
    id_form: Callable[[Tensor, Tensor], Tensor] = cosine_id_loss

    @cached_property
    def unsupervised(self) -> UnsupervisedPairs:
        """The pairs without an expected swap."""
        rows = ~self.batch.supervised
        return UnsupervisedPairs(self.image[rows], self.batch.target[rows], self.labels[rows], self.face[rows])

    @cached_property
    def teacher_output(self) -> tuple[Tensor, list[Tensor]]:
        """The teacher's embedding (B,D) and feature maps of the swap, of one pass."""
        return self.perception.teacher.embedding_and_maps(self.image, TEACHER_MAPS, jitter=self.jitter)

    @cached_property
    def target_id(self) -> Tensor:
        """(B,D): the teacher's embedding of the (mixed) sources, without gradient; the conditioning embedding itself if the
        teacher is the id encoder."""
        if self.perception.teacher is self.perception.id_encoder:
            return self.embedding
        with torch.no_grad():
            return self.mix(self.perception.teacher(self.batch.source))


def swap_losses(swap: RenderedSwap, weights: Mapping[str, float], *, exclude: Collection[str] = ()) -> dict[str, Tensor]:
    """The losses of SWAP_LOSSES whose weight is not 0: name -> scalar. exclude: losses that the family computes itself."""
    return {name: loss(swap) for name, loss in SWAP_LOSSES.items() if weights.get(name, 0) and name not in exclude}


def _id_encoder(swap: RenderedSwap) -> Tensor:
    return cosine_id_loss(swap.perception.id_encoder.embedding_and_maps(swap.image, 0, jitter=swap.jitter)[0], swap.embedding)


def _perceptual(swap: RenderedSwap) -> Tensor:
    maps = swap.teacher_output[1]
    with torch.no_grad():
        real_maps = swap.perception.teacher.maps(swap.batch.real, TEACHER_MAPS)
    return perceptual_l1(maps, real_maps, swap.batch.supervised)


def _id(swap: RenderedSwap) -> Tensor:
    return swap.id_form(swap.teacher_output[0], swap.target_id)


def _id_drift(swap: RenderedSwap) -> Tensor:
    rows = ~swap.batch.supervised
    return id_drift_loss(swap.teacher_output[0][rows], swap.target_id[rows])


def _reconstruction(swap: RenderedSwap) -> Tensor:
    return reconstruction_l1(swap.image, swap.batch.real, swap.batch.supervised)


def _edges(swap: RenderedSwap) -> Tensor:
    return edges_l1(swap.image, swap.batch.real, swap.batch.supervised)


def _background(swap: RenderedSwap) -> Tensor:
    return background_l1(swap.image, swap.batch.real, swap.face)


def _of_unsupervised(loss: Callable[[UnsupervisedPairs, Perception], Tensor]) -> Callable[[RenderedSwap], Tensor]:
    """A loss of pairs without an expected swap; 0, with a gradient, if the batch has none."""
    def scalar(swap: RenderedSwap) -> Tensor:
        pairs = swap.unsupervised
        return loss(pairs, swap.perception) if len(pairs.swap) else pairs.swap.sum()
    return scalar


@_of_unsupervised
def _parsing(pairs: UnsupervisedPairs, perception: Perception) -> Tensor:
    return parsing_agreement(perception.require('parser', 'parsing')(pairs.swap), pairs.labels, pairs.face)


@_of_unsupervised
def _landmarks(pairs: UnsupervisedPairs, perception: Perception) -> Tensor:
    detector = perception.require('landmarks', 'landmarks')
    with torch.no_grad():
        target_landmarks = detector(pairs.target)  # (N,5,2) in eye distances
    return (detector(pairs.swap) - target_landmarks).abs().mean()


@_of_unsupervised
def _shading(pairs: UnsupervisedPairs, perception: Perception) -> Tensor:
    return shading_l1(pairs.swap, pairs.target, pairs.face)


def _distillation(swap: RenderedSwap) -> Tensor:
    batch = replace(swap.batch, target_parsing=swap.labels, source_embedding=swap.embedding)
    teacher = swap.perception.require('distillation_teacher', 'distillation')
    return reconstruction_l1(swap.image, teacher.generate(batch), ~swap.batch.supervised)


def _contrast(swap: RenderedSwap) -> Tensor:
    return contrast_l1(swap.image, swap.batch.real, swap.face)


def _total_variation(swap: RenderedSwap) -> Tensor:
    return total_variation(swap.image)


# In the order in which they are summed.
SWAP_LOSSES: dict[str, Callable[[RenderedSwap], Tensor]] = {
    'id_encoder': _id_encoder,
    'perceptual': _perceptual,
    'id': _id,
    'id_drift': _id_drift,
    'reconstruction': _reconstruction,
    'edges': _edges,
    'background': _background,
    'parsing': _parsing,
    'landmarks': _landmarks,
    'shading': _shading,
    'distillation': _distillation,
    'contrast': _contrast,
    'total_variation': _total_variation,
}
SWAP_LOSS_WEIGHTS = dict.fromkeys(SWAP_LOSSES, 0.0)  # defaults, which each family's config extends
