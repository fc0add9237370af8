"""Swaps of a frozen swap family as inputs of reversed pairs."""
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from models.base import Family
from models.batch import SwapBatch
from models.perception.parsers.parser import face_mask
from models.swap.conditions import dilated_face

_MARGIN_FRACTION = 3 / 128  # of the image's side, by which the face mask is dilated before the swap is pasted
_FEATHER_FRACTION = 2 / 128  # of the image's side, the radius of the box filter that softens the mask, applied twice


@torch.no_grad()
def paste_swap(swapper: Family, batch: SwapBatch) -> Tensor:
    """Swaps (B,3,H,W) in [-1,1] of a batch with parsing labels, rendered at the swapper's size and pasted into the targets.

    Outside the dilated and softened face mask the image is the target, so that only the face differs from it. Raises ValueError
    if the batch has no labels.
    """
    target, parsing, size = batch.target, batch.target_parsing, (swapper.config.size, swapper.config.size)
    if parsing is None:
        raise ValueError('a swap is pasted by the face mask of the target; give the batch parsing labels')
    labels = F.interpolate(parsing[:, None].float(), size, mode='nearest-exact')[:, 0].long()
    small = SwapBatch(source=_resized(batch.source, size), target=_resized(target, size), same=batch.same,
                      target_parsing=labels, source_embedding=batch.source_embedding)
    height, side = target.shape[2:]
    swap = _resized(swapper.generate(small), (height, side))
    mask = dilated_face(face_mask(parsing), max(1, round(_MARGIN_FRACTION * side)))  # (B,1,H,W)
    radius = max(1, round(_FEATHER_FRACTION * side))
    for _ in range(2):
        mask = F.avg_pool2d(F.pad(mask, (radius,) * 4, mode='replicate'), 2 * radius + 1, 1)
    return torch.lerp(target, swap, mask).clamp(-1, 1)


def reversed_pairs(batch: SwapBatch, swapper: Family, labels_of: Callable[[Tensor], Tensor], probability: float) -> SwapBatch:
    """The batch with reversed pairs instead of pairs of one identity, each with probability `probability`.

    The target of a reversed pair has the face of the source of the row before; the target before is the expected swap. Pairs
    whose row before shows the same identity are unchanged.

    Args:
        batch: with parsing labels, source embeddings and, if rows may share an identity, identity labels.
        swapper: a trained swap family.
        labels_of: images (B,3,H,W) in [-1,1] -> ids of PARTS (B,H,W).
    """
    is_reversed = batch.same & (torch.rand(len(batch), device=batch.same.device) < probability)  # (B,)
    if batch.source_label is not None:
        is_reversed = is_reversed & (batch.source_label != batch.source_label.roll(1))
    rows = is_reversed[:, None, None]
    embedding, parsing, label = batch.source_embedding, batch.target_parsing, batch.target_label
    pasted = paste_swap(swapper, replace(batch, source=batch.source.roll(1, 0),
                                         source_embedding=None if embedding is None else embedding.roll(1, 0)))
    if batch.source_label is not None and label is not None:
        label = torch.where(is_reversed, batch.source_label.roll(1), label)
    if parsing is not None:
        parsing = torch.where(rows, labels_of(pasted), parsing)
    return replace(batch, target=torch.where(rows[:, None], pasted, batch.target), same=batch.same & ~is_reversed,
                   target_label=label, target_parsing=parsing, truth=batch.real, has_truth=batch.supervised)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B,3,H,W) -> (B,3,*size)."""
    if images.shape[2:] == torch.Size(size):
        return images
    return F.interpolate(images, size, mode='bicubic', antialias=True, align_corners=False).clamp(-1, 1)
