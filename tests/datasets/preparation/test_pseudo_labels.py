"""Pseudo labels of a teacher in a cache."""
import pickle

import numpy as np
import torch

from datasets.preparation.pseudo_labels import clean_labels, spatial_prior, write_pseudo_labels
from datasets.samples.parsing import open_labeled
from models.batch import IGNORED
from tests.datasets import layouts


def test_uncertain_pixels_and_small_components_are_ignored():
    probability = torch.zeros(1, 19, 40, 40)
    probability[:, 1] = 1
    probability[:, :, :, 30:] = 0
    probability[:, 1, :, 30:], probability[:, 13, :, 30:] = 0.5, 0.5  # equal probabilities
    probability[:, 1, 10:13, 10:13], probability[:, 2, 10:13, 10:13] = 0, 1  # 9 pixels
    probability[:, 1, 20:28, 10:18], probability[:, 2, 20:28, 10:18] = 0, 1
    labels = clean_labels(probability, torch.full((19, 40, 40), 1 / 19))[0]
    assert (labels[22:26, 12:16] == 2).all() and (labels[11, 11], labels[5, 5], labels[5, 35]) == (IGNORED, 1, IGNORED)


def test_spatial_prior_corrects_misplaced_parts():
    mean = torch.zeros(19, 40, 40)
    mean[13, :20], mean[17, 20:] = 1, 1  # hair above, neck below
    probability = torch.zeros(1, 19, 40, 40)
    probability[:, 13], probability[:, 17] = 0.6, 0.4
    labels = clean_labels(probability, spatial_prior(mean))[0]
    assert labels[5, 20] == 13 and labels[35, 20] == 17


def test_pseudo_labels_are_written_once_into_a_cache(tmp_path):
    faces = open_labeled(layouts.celebamask(tmp_path / 'hq', numbers=range(6), side=160))[0]
    shapes = []

    def probability_of(images):
        shapes.append(tuple(images.shape[1:]))
        parts = torch.where(images.mean(1) > 0, 13, 1)
        return torch.nn.functional.one_hot(parts, 19).permute(0, 3, 1, 2).float()

    labeled = write_pseudo_labels(faces, tmp_path / 'cache', probability_of, batch=4)
    assert set(shapes) == {(3, 150, 150)}
    reopened, coarse = open_labeled(tmp_path / 'cache')
    assert not coarse and len(reopened) == 6
    image, labels, _ = pickle.loads(pickle.dumps(reopened)).read(0)
    sure = labels != IGNORED
    assert sure.mean() > 0.5 and ((image.mean(2) > 127.5) == (labels == 13))[sure].mean() > 0.9
    before = len(shapes)
    write_pseudo_labels(faces, tmp_path / 'cache', probability_of)
    assert len(shapes) == before
    assert np.array_equal(labeled.read(3)[1], reopened.read(3)[1])
