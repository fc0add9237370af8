"""Five points of label maps."""
import numpy as np
import torch

from datasets.celebamask import points_of
from datasets.synthetic import render, sample_attributes, sample_identity
from experiments.evaluation.metrics.parts import part_points
from models.batch import PARTS


def test_points_equal_those_of_celebamask_and_are_near_the_landmarks():
    faces = [render(sample_identity(0, i), sample_attributes(0, i), 128) for i in range(6)]
    labels = np.stack([face.parsing for face in faces])
    points = part_points(torch.from_numpy(labels).long()).numpy()
    expected = np.stack([points_of(label_map) for label_map in labels])
    visible = np.isfinite(points)
    assert visible.mean() > 0.9 and np.abs(points - expected)[visible].max() < 0.51
    distance = np.abs(points - np.stack([face.points for face in faces]))[visible]
    assert distance.mean() < 2.5  # pixels of 128


def test_invisible_parts_have_no_point():
    labels = torch.ones(1, 32, 32, dtype=torch.int64)
    labels[:, 8:10, 6:10] = PARTS.index('l_eye')
    points = part_points(labels)[0]
    assert points[0].tolist() == [7.5, 8.5] and points[1:].isnan().all()
