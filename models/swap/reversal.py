"""Swaps of a frozen swap family as inputs of reversed pairs."""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.base import Family
from models.batch import SwapBatch
from models.perception.parsers.parser import face_mask
from models.swap.conditions import dilated_face

_MARGIN_SHARE = 3 / 128  # of the image's side, by which the face mask is dilated before the swap is pasted
_FEATHER_SHARE = 2 / 128  # of the image's side, the radius of the box filter that softens the mask, applied twice


@torch.no_grad()
def paste_swap(swapper: Family, batch: SwapBatch) -> Tensor:
    """Swaps (B,3,H,W) in [-1,1] of a batch with parsing labels, rendered at the swapper's size and pasted into the targets.

    Outside the dilated and softened face mask the image is the target, so that only the face differs from it.
    """
    target, size = batch.target, (swapper.config.size,) * 2
    labels = F.interpolate(batch.target_parsing[:, None].float(), size, mode='nearest-exact')[:, 0].long()
    small = SwapBatch(source=_resized(batch.source, size), target=_resized(target, size), same=batch.same,
                      target_parsing=labels, source_embedding=batch.source_embedding)
    swap = _resized(swapper.generate(small), target.shape[2:])
    side = target.shape[-1]
    mask = dilated_face(face_mask(batch.target_parsing), max(1, round(_MARGIN_SHARE * side)))  # (B,1,H,W)
    radius = max(1, round(_FEATHER_SHARE * side))
    for _ in range(2):
        mask = F.avg_pool2d(F.pad(mask, (radius,) * 4, mode='replicate'), 2 * radius + 1, 1)
    return torch.lerp(target, swap, mask).clamp(-1, 1)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B,3,H,W) -> (B,3,*size)."""
    if images.shape[2:] == torch.Size(size):
        return images
    return F.interpolate(images, size, mode='bicubic', antialias=True, align_corners=False).clamp(-1, 1)
