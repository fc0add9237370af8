"""The figures of face parsing against hand-computed ones."""
import pytest
import torch

from experiments.evaluation.metrics.parsing import confusion, part_iou, region_iou
from experiments.evaluation.protocols.parsing import measure
from models.batch import IGNORED, PARTS, ParsingBatch

TRUTH = torch.tensor([[[0, 1, 1, 2],
                       [0, 1, 2, IGNORED]]])
FOUND = torch.tensor([[[0, 1, 2, 2],
                       [1, 0, 2, 1]]])


def test_a_region_by_hand():
    assert region_iou(FOUND, TRUTH, [1]).tolist() == [pytest.approx(1 / 4)]
    assert region_iou(FOUND, TRUTH, [1, 2]).tolist() == [pytest.approx(4 / 6)]
    assert region_iou(FOUND, TRUTH, [5]).tolist() == [1.0]


def test_parts_by_hand():
    counts = confusion(FOUND, TRUTH, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    found = part_iou(counts)
    assert found[:3].tolist() == pytest.approx([1 / 3, 1 / 4, 2 / 3]) and found[3].isnan()


class _Source:
    """Two images of skin in the upper half, of which the second cannot be read, then one of the lower half."""

    coarse = False

    def __len__(self):
        return 3

    def sample(self, index):
        labels = torch.zeros(8, 8, dtype=torch.int64)
        labels[:4] = PARTS.index('skin')
        image = torch.zeros(3, 8, 8)
        return None if index == 1 else ParsingBatch(image, labels if index == 0 else labels.flip(0), labels * 0 + IGNORED)


class _Upper(torch.nn.Module):
    """Sees skin in the upper half of whatever it looks at."""

    def forward(self, images):
        logits = torch.zeros(len(images), 19, 8, 8)
        logits[:, PARTS.index('skin'), :4], logits[:, 0, 4:] = 1, 1
        return logits


def test_a_parser_is_measured_on_what_can_be_read():
    row = measure(_Upper(), _Source())
    assert row['images'] == 2 and row['face'] == pytest.approx(0.5)
    assert row['parts'] == {'background': pytest.approx(1 / 3), 'skin': pytest.approx(1 / 3)}
