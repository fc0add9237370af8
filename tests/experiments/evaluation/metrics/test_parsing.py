"""IoU and confusion of label maps, against values computed by hand."""
import pytest
import torch

from experiments.evaluation.metrics.parsing import confusion, part_iou, region_iou
from models.batch import IGNORED

TRUTH = torch.tensor([[[0, 1, 1, 2],
                       [0, 1, 2, IGNORED]]])
PREDICTED = torch.tensor([[[0, 1, 2, 2],
                           [1, 0, 2, 1]]])


def test_region_iou():
    assert region_iou(PREDICTED, TRUTH, [1]).tolist() == [pytest.approx(1 / 4)]
    assert region_iou(PREDICTED, TRUTH, [1, 2]).tolist() == [pytest.approx(4 / 6)]
    assert region_iou(PREDICTED, TRUTH, [5]).tolist() == [1.0]


def test_part_iou():
    counts = confusion(PREDICTED, TRUTH, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    ious = part_iou(counts)
    assert ious[:3].tolist() == pytest.approx([1 / 3, 1 / 4, 2 / 3]) and ious[3].isnan()
