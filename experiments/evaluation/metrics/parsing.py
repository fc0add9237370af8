"""How well found label maps cover the true ones."""
import torch
from torch import Tensor

from models.batch import IGNORED


def region_iou(found: Tensor, truth: Tensor, ids: list[int]) -> Tensor:
    """(B,H,W) label maps -> (B,) intersection over union of the region that shows any of `ids`, over the pixels whose truth is
    known; 1 where neither map has the region."""
    known, wanted = truth != IGNORED, torch.tensor(ids, device=truth.device)
    found, truth = torch.isin(found, wanted) & known, torch.isin(truth, wanted) & known
    union = (found | truth).sum((1, 2))
    return torch.where(union > 0, (found & truth).sum((1, 2)) / union.clamp_min(1), 1.0)


def confusion(found: Tensor, truth: Tensor, classes: int) -> Tensor:
    """(classes,classes) counts of known pixels, by true label (row) and found label (column); adds up over batches."""
    known = truth != IGNORED
    return torch.bincount(truth[known] * classes + found[known], minlength=classes ** 2).view(classes, classes)


def part_iou(counts: Tensor) -> Tensor:
    """(C,C) confusion -> (C,) intersection over union of each class; NaN where no pixel truly shows it."""
    both, true = counts.diagonal().double(), counts.sum(1)
    return torch.where(true > 0, both / (true + counts.sum(0) - both), float('nan'))
