"""Measurement of a face parser."""
import pytest
import torch

from experiments.evaluation.protocols.parsing import measure
from models.batch import IGNORED, PARTS, ParsingBatch


class ThreeImages:
    """Skin in the upper half, an unreadable image, skin in the lower half."""

    coarse = False

    def __len__(self):
        return 3

    def sample(self, index):
        labels = torch.zeros(8, 8, dtype=torch.int64)
        labels[:4] = PARTS.index('skin')
        image = torch.zeros(3, 8, 8)
        return None if index == 1 else ParsingBatch(image, labels if index == 0 else labels.flip(0), labels * 0 + IGNORED)


class UpperHalfParser(torch.nn.Module):
    """Predicts skin in the upper half of every image."""

    def forward(self, images):
        logits = torch.zeros(len(images), 19, 8, 8)
        logits[:, PARTS.index('skin'), :4], logits[:, 0, 4:] = 1, 1
        return logits


def test_figures_are_over_readable_images():
    figures = measure(UpperHalfParser(), ThreeImages())
    assert figures['images'] == 2 and figures['face'] == pytest.approx(0.5)
    assert figures['parts'] == {'background': pytest.approx(1 / 3), 'skin': pytest.approx(1 / 3)}
