"""Verification pairs: lists in LFW's format, random pairs, metrics in 10 folds."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from datasets.registry import build_faces
from experiments.evaluation.metrics.verification import in_folds
from experiments.evaluation.protocols.verification import read_pairs, sample_pairs, verify_pairs
from models.geometry import TEMPLATES
from tests.datasets.layouts import celeba, image, write


@pytest.fixture
def lfw(tmp_path):
    """Three identities with two nearly equal images each."""
    for identity in range(3):
        for number in (1, 2):
            shade = (image(identity, 60, 60).astype(int) + number).clip(0, 255).astype(np.uint8)
            write(tmp_path / 'lfw' / f'P{identity}' / f'P{identity}_{number:04d}.png', shade)
    return build_faces('folder', tmp_path / 'lfw')


LINES = ['2\t1', 'P0\t1\t2', 'P0\t1\tP1\t2', 'P2\t2\t1', 'P1\t1\tP2\t1']


def test_lists_are_read_and_measured(lfw, tmp_path):
    path = tmp_path / 'pairs.txt'
    path.write_text('\n'.join(LINES))
    pairs = read_pairs(path, lfw)
    names = [[str(lfw.files[row]).split('/')[1][:-4] for row in (a, b)] for a, b in zip(pairs.first, pairs.second)]
    assert names == [['P0_0001', 'P0_0002'], ['P0_0001', 'P1_0002'], ['P2_0002', 'P2_0001'], ['P1_0001', 'P2_0001']]
    assert pairs.same.tolist() == [True, False] * 2 and pairs.fold.tolist() == [0, 0, 1, 1]
    figures = verify_pairs(lambda x: F.avg_pool2d(x, 16).flatten(1), lfw, pairs, TEMPLATES['arcface'])
    assert figures['accuracy'] == (1.0, 0.0) and figures['auc'] == (1.0, 0.0)


@pytest.mark.parametrize(('lines', 'message'), [
    (['P0 1 2'], 'does not begin with'), (LINES[:-1], 'lists 3 pairs'),
    ([*LINES[:-1], 'P1 1'], 'is no pair'), ([*LINES[:-1], 'P1 1 P9 1'], 'names P9_0001')])
def test_malformed_lists_are_refused(lfw, tmp_path, lines, message):
    path = tmp_path / 'pairs.txt'
    path.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=message):
        read_pairs(path, lfw)


def test_random_pairs_are_reproducible_and_folds_have_disjoint_identities(tmp_path):
    faces = build_faces('celeba', celeba(tmp_path, num_identities=21, each=2))
    pairs, equal = sample_pairs(faces, 4, seed=3), sample_pairs(faces, 4, seed=3)
    assert all(np.array_equal(getattr(pairs, name), getattr(equal, name)) for name in ('first', 'second', 'same', 'fold'))
    assert (faces.labels[pairs.first] == faces.labels[pairs.second]).tolist() == pairs.same.tolist()
    assert (pairs.first != pairs.second).all() and len(pairs.same) == 80
    labels = [set(faces.labels[pairs.first[pairs.fold == fold]]) | set(faces.labels[pairs.second[pairs.fold == fold]])
              for fold in range(10)]
    assert sum(map(len, labels)) == len(set.union(*labels))


def test_figures_are_mean_and_deviation_over_folds():
    scores = torch.tensor([0.9, 0.1, 0.8, 0.15, 0.3, 0.7]).numpy()
    same, fold = np.array([True, False] * 3), np.array([0, 0, 1, 1, 2, 2])
    figures = in_folds(scores, same, fold)  # in the last fold the impostor pair has the higher score
    assert figures['auc'] == (pytest.approx(2 / 3), pytest.approx((2 / 9) ** 0.5))
    assert figures['accuracy'][0] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match='each fold'):
        in_folds(scores, same, np.arange(6))
