"""Errors of a cause regressor on rendered identities of the test split."""
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from datasets.samples.causes import CAUSES, SWITCHES, RenderedCauses
from datasets.synthetic import IDENTITY
from experiments.evaluation.metrics.identity import attribute_accuracy
from models.batch import collate


@torch.no_grad()
def measure_causes(regressor: nn.Module, *, size: int = 64, images: int = 1000, device: str | torch.device = 'cpu',
                   ) -> dict[str, Any]:
    """Measure a cause regressor on rendered faces.

    Args:
        regressor: (B,3,S,S) in [-1,1] -> causes (B,C) in [-1,1].
        size: side of the images in pixels.
        images: number of images, at most those of the test split.

    Returns:
        cause_identity and cause_attributes: mean absolute errors. attributes: fraction of binary attributes predicted correctly.
        guess: errors of predicting the mean. worst: the five causes with the largest error relative to that of the mean. images:
        number of images.
    """
    dataset = RenderedCauses('test', size)
    rows = Subset(dataset, range(min(images, len(dataset))))
    predictions, targets = [], []
    for batch in DataLoader(rows, 64, collate_fn=collate):
        predictions.append(regressor(batch.images.to(device)).float().cpu())
        targets.append(batch.causes)
    predicted, target = torch.cat(predictions), torch.cat(targets)
    error, guess = (predicted - target).abs().mean(0), (target - target.mean(0)).abs().mean(0)
    ratio, switches, count = error / guess, [CAUSES.index(name) for name in SWITCHES], len(IDENTITY)
    worst = ratio.argsort(descending=True)[:5].tolist()
    return {'cause_identity': float(error[:count].mean()), 'cause_attributes': float(error[count:].mean()),
            'attributes': float(attribute_accuracy(predicted[:, switches], target[:, switches]).mean()),
            'guess': {'cause_identity': float(guess[:count].mean()), 'cause_attributes': float(guess[count:].mean())},
            'worst': {CAUSES[index]: float(ratio[index]) for index in worst}, 'images': len(target)}
