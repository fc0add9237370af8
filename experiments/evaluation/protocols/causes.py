"""Errors of a cause regressor on rendered identities of the test split."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from datasets.samples.causes import CAUSES, SWITCHES, RenderedCauses
from datasets.synthetic import IDENTITY
from experiments.evaluation.metrics.identity import attribute_accuracy
from models.batch import collate


@torch.no_grad()
def measure_causes(reader: nn.Module, *, size: int = 64, images: int = 1000, device: str | torch.device = 'cpu') -> dict:
    """On rendered faces of the test split: cause_identity and cause_attributes, mean absolute errors of causes scaled to [-1,1];
    attributes, share of switches predicted correctly; guess, the errors of predicting the mean; worst, the five causes with
    the largest error relative to guess."""
    rows = Subset(RenderedCauses('test', size), range(min(images, len(RenderedCauses('test', size)))))
    predicted, target = [], []
    for batch in DataLoader(rows, 64, collate_fn=collate):
        predicted.append(reader(batch.images.to(device)).float().cpu())
        target.append(batch.causes)
    predicted, target = torch.cat(predicted), torch.cat(target)
    error, guess = (predicted - target).abs().mean(0), (target - target.mean(0)).abs().mean(0)
    ratio, switches, who = error / guess, [CAUSES.index(name) for name in SWITCHES], len(IDENTITY)
    worst = ratio.argsort(descending=True)[:5].tolist()
    return {'cause_identity': float(error[:who].mean()), 'cause_attributes': float(error[who:].mean()),
            'attributes': float(attribute_accuracy(predicted[:, switches], target[:, switches]).mean()),
            'guess': {'cause_identity': float(guess[:who].mean()), 'cause_attributes': float(guess[who:].mean())},
            'worst': {CAUSES[index]: float(ratio[index]) for index in worst}, 'images': len(target)}
