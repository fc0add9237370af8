"""Conditions of the swap networks, computed from a batch."""
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.batch import PARTS, SwapBatch
from models.blocks.background import push_pull_fill
from models.perception.parsers.parser import face_mask
from models.precision import full_precision, normalized


class SwapConditions(NamedTuple):
    """Conditions that come from the target.

    parsing_onehot: (B,C,H,W), one channel per part of models.batch.PARTS, or the face mask as a single channel.
    background_image: (B,3,H,W) in [-1,1], the target with its face replaced by a continuation of its surroundings.
    face: (B,1,H,W) in {0,1}, 1 = face.
    """

    parsing_onehot: Tensor
    background_image: Tensor
    face: Tensor


def swap_conditions(target: Tensor, labels: Tensor, *, parsing: bool, margin_px: int) -> SwapConditions:
    """Conditions from targets (B,3,H,W) in [-1,1] and their parsing labels (B,H,W).

    parsing: return the one-hot parsing map instead of the face mask. margin_px: see `dilated_face`.
    """
    face = face_mask(labels)  # (B,1,H,W)
    onehot = F.one_hot(labels, len(PARTS)).permute(0, 3, 1, 2).to(target.dtype) if parsing else face  # (B,C,H,W)
    return SwapConditions(onehot, push_pull_fill(target, dilated_face(face, margin_px)), face)


def dilated_face(face: Tensor, margin_px: int) -> Tensor:
    """The face mask (B,1,H,W), dilated by `margin_px` pixels."""
    return F.max_pool2d(face, 2 * margin_px + 1, 1, margin_px)


def identity_mixer(batch: SwapBatch, probability: float) -> Callable[[Tensor], Tensor]:
    """A random mixture of source identities (mixup, Zhang et al. 2018) as a function of unit embeddings (B,D).

    With `probability`, a row without an expected swap is interpolated with the row of another source by a uniform weight. The
    function applies the same mixture at each call, so that it can be used with several embedders; with
    probability 0 it is the identity function.
    """
    if not probability:
        return lambda embeddings: embeddings
    count, device = len(batch), batch.target.device
    weight, uniform = torch.rand(2, count, 1, device=device)  # (B,1) each
    weight = weight * ((uniform < probability) & ~batch.supervised[:, None])
    order = torch.randperm(count, device=device)
    return lambda embeddings: _interpolated(embeddings, embeddings[order], weight)


@full_precision
def _interpolated(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Normalized (1 - weight) * first + weight * second of unit vectors (B,D), weight (B,1)."""
    return normalized(torch.lerp(first, second, weight))
