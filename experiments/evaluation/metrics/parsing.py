"""Intersection over union of predicted and true label maps."""
import torch
from torch import Tensor

from models.batch import IGNORED


def region_iou(predicted: Tensor, truth: Tensor, ids: list[int]) -> Tensor:
    """(B,H,W) label maps -> (B,) IoU in [0,1] of the region labeled with any of `ids`, over the pixels whose true label is not
    IGNORED; 1 where neither map contains the region."""
    valid, region = truth != IGNORED, torch.tensor(ids, device=truth.device)
    predicted, truth = torch.isin(predicted, region) & valid, torch.isin(truth, region) & valid
    union = (predicted | truth).sum((1, 2))
    return torch.where(union > 0, (predicted & truth).sum((1, 2)) / union.clamp_min(1), 1.0)


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """(classes,classes) counts of labeled pixels by true class (row) and predicted class (column); sums over batches."""
    valid = truth != IGNORED
    return torch.bincount(truth[valid] * classes + predicted[valid], minlength=classes ** 2).view(classes, classes)


def part_iou(counts: Tensor) -> Tensor:
    """(C,C) confusion -> (C,) IoU of each class in [0,1]; NaN for a class without true pixels."""
    intersection, true = counts.diagonal().double(), counts.sum(1)
    return torch.where(true > 0, intersection / (true + counts.sum(0) - intersection), float('nan'))
