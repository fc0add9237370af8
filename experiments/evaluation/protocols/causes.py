"""A reader of causes on drawn people that it has not learned from."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from datasets.causes import CAUSES, SWITCHES, DrawnCauses
from datasets.synthetic import IDENTITY
from experiments.evaluation.metrics.identity import attribute_accuracy
from models.batch import collate


@torch.no_grad()
def measure_causes(reader: nn.Module, *, size: int = 64, images: int = 1000, device: str | torch.device = 'cpu') -> dict:
    """On drawn faces of the test split: cause_identity and cause_attributes, mean absolute errors of causes scaled to [-1,1];
    attributes, share of switches that are right; guess, the error of always saying the mean; worst, the five causes that are
    read worst against guessing, by name."""
    rows = Subset(DrawnCauses('test', size), range(min(images, len(DrawnCauses('test', size)))))
    found, wanted = [], []
    for batch in DataLoader(rows, 64, collate_fn=collate):
        found.append(reader(batch.images.to(device)).float().cpu())
        wanted.append(batch.causes)
    found, wanted = torch.cat(found), torch.cat(wanted)
    error, guess = (found - wanted).abs().mean(0), (wanted - wanted.mean(0)).abs().mean(0)
    ratio, switches, who = error / guess, [CAUSES.index(name) for name in SWITCHES], len(IDENTITY)
    worst = ratio.argsort(descending=True)[:5].tolist()
    return {'cause_identity': float(error[:who].mean()), 'cause_attributes': float(error[who:].mean()),
            'attributes': float(attribute_accuracy(found[:, switches], wanted[:, switches]).mean()),
            'guess': {'cause_identity': float(guess[:who].mean()), 'cause_attributes': float(guess[who:].mean())},
            'worst': {CAUSES[index]: float(ratio[index]) for index in worst}, 'images': len(wanted)}
