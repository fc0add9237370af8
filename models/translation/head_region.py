"""The face as a soft or hard region: which part of a translation may change."""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.batch import PARTS

# The head without neck, clothes and hat.
_HEAD = tuple(i for i, part in enumerate(PARTS) if part not in ('background', 'hat', 'neck_l', 'neck', 'cloth'))
_GLASSES, _MOUTH = PARTS.index('eye_g'), PARTS.index('mouth')


def _grown(mask: Tensor) -> Tensor:
    """Dilation of (B,1,H,W) by the ellipse of 5x5 pixels: three whole rows between two single pixels."""
    return torch.maximum(F.max_pool2d(mask, (3, 5), 1, (1, 2)), F.max_pool2d(mask, (5, 1), 1, (2, 0)))


def erode(mask: Tensor) -> Tensor:
    """Erosion of (B,1,H,W) by the same ellipse."""
    return -_grown(-mask)


def head_region(logits: Tensor, *, hard: bool = False, without_glasses_and_mouth: bool = False) -> Tensor:
    """Parsing logits (B,19,H,W) -> (B,1,H,W) in [0,1]: the head, small holes closed.

    hard: 1 where it is likelier than not; otherwise 1 above a probability of 0.7, 0 below 0.3, and the probability between.
    without_glasses_and_mouth: glasses (but for their edge) and the inside of the mouth count as background.
    """
    chance = logits.softmax(1)

    def decided(probability: Tensor) -> Tensor:
        if hard:
            return (probability >= 0.5).to(probability.dtype)
        return torch.where(probability > 0.7, 1.0, torch.where(probability < 0.3, 0.0, probability))

    head = erode(_grown(decided(chance[:, list(_HEAD)].sum(1, keepdim=True))))
    if without_glasses_and_mouth:
        left_out = torch.maximum(erode(decided(chance[:, _GLASSES:_GLASSES + 1])), decided(chance[:, _MOUTH:_MOUTH + 1]))
        head = head * (1 - left_out)
    return head
