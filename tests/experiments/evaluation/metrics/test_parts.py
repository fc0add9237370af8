import numpy as np
import torch

from datasets.celebamask import points_of
from datasets.synthetic import render, sample_attributes, sample_identity
from experiments.evaluation.metrics.parts import part_points
from models.batch import PARTS


def test_points_are_those_that_celebamask_reads_off_its_masks():
    drawn = [render(sample_identity(0, i), sample_attributes(0, i), 128) for i in range(6)]
    labels = np.stack([d.parsing for d in drawn])
    found = part_points(torch.from_numpy(labels).long()).numpy()
    wanted = np.stack([points_of(one) for one in labels])
    seen = np.isfinite(found)
    assert seen.mean() > 0.9 and np.abs(found - wanted)[seen].max() < 0.51
    near = np.abs(found - np.stack([d.points for d in drawn]))[seen]
    assert near.mean() < 2.5  # pixels of 128


def test_a_part_that_does_not_show_has_no_point():
    labels = torch.ones(1, 32, 32, dtype=torch.int64)
    labels[:, 8:10, 6:10] = PARTS.index('l_eye')
    found = part_points(labels)[0]
    assert found[0].tolist() == [7.5, 8.5] and found[1:].isnan().all()
