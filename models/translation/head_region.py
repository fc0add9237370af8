"""Soft and hard masks of the head from face parsing."""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.batch import PARTS

# The head without neck, clothes and hat.
_HEAD = tuple(i for i, part in enumerate(PARTS) if part not in ('background', 'hat', 'neck_l', 'neck', 'cloth'))
_GLASSES, _MOUTH = PARTS.index('eye_g'), PARTS.index('mouth')
_ONE_ABOVE, _ZERO_BELOW = 0.7, 0.3  # probabilities of the head at the bounds of a soft mask


def dilate(mask: Tensor) -> Tensor:
    """Dilation of (B,1,H,W) by an ellipse of 5x5 pixels: three rows of 5 pixels between two of 1."""
    return torch.maximum(F.max_pool2d(mask, (3, 5), 1, (1, 2)), F.max_pool2d(mask, (5, 1), 1, (2, 0)))


def erode(mask: Tensor) -> Tensor:
    """Erosion of (B,1,H,W) by the ellipse of `dilate`."""
    return -dilate(-mask)


def head_region(logits: Tensor, *, hard: bool = False, without_glasses_and_mouth: bool = False) -> Tensor:
    """Mask of the head, with small holes closed.

    Args:
        logits: parsing logits (B,19,H,W) of models.batch.PARTS.
        hard: 1 where the head has at least probability 1/2, else 0. Otherwise 1 above a probability of 0.7, 0 below 0.3, and the
            probability in between.
        without_glasses_and_mouth: count glasses, except for their rim, and the inside of the mouth as background.

    Returns:
        (B,1,H,W) in [0,1], 1 = head.
    """
    probability = logits.softmax(1)

    def threshold(probability: Tensor) -> Tensor:
        if hard:
            return (probability >= 0.5).to(probability.dtype)
        return torch.where(probability > _ONE_ABOVE, 1.0, torch.where(probability < _ZERO_BELOW, 0.0, probability))

    head = erode(dilate(threshold(probability[:, list(_HEAD)].sum(1, keepdim=True))))
    if without_glasses_and_mouth:
        glasses = erode(threshold(probability[:, _GLASSES:_GLASSES + 1]))
        head = head * (1 - torch.maximum(glasses, threshold(probability[:, _MOUTH:_MOUTH + 1])))
    return head
