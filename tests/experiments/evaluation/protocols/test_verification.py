"""Pairs in LFW's format and drawn ones, in 10 folds."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from datasets.loaders import build_faces
from experiments.evaluation.metrics.verification import in_folds
from experiments.evaluation.protocols.verification import draw_pairs, read_pairs, verify_pairs
from models.geometry import TEMPLATES
from tests.datasets.layouts import celeba, image, write


@pytest.fixture
def lfw(tmp_path):
    """Three people with two images each; a person's images are nearly the same."""
    for person in range(3):
        for number in (1, 2):
            shade = (image(person, 60, 60).astype(int) + number).clip(0, 255).astype(np.uint8)
            write(tmp_path / 'lfw' / f'P{person}' / f'P{person}_{number:04d}.png', shade)
    return build_faces('folder', tmp_path / 'lfw')


LINES = ['2\t1', 'P0\t1\t2', 'P0\t1\tP1\t2', 'P2\t2\t1', 'P1\t1\tP2\t1']


def test_a_list_of_lfw_is_read_and_measured(lfw, tmp_path):
    path = tmp_path / 'pairs.txt'
    path.write_text('\n'.join(LINES))
    pairs = read_pairs(path, lfw)
    names = [[str(lfw.files[row]).split('/')[1][:-4] for row in (a, b)] for a, b in zip(pairs.first, pairs.second)]
    assert names == [['P0_0001', 'P0_0002'], ['P0_0001', 'P1_0002'], ['P2_0002', 'P2_0001'], ['P1_0001', 'P2_0001']]
    assert pairs.same.tolist() == [True, False] * 2 and pairs.fold.tolist() == [0, 0, 1, 1]
    found = verify_pairs(lambda x: F.avg_pool2d(x, 16).flatten(1), lfw, pairs, TEMPLATES['arcface'])
    assert found['accuracy'] == (1.0, 0.0) and found['auc'] == (1.0, 0.0)


@pytest.mark.parametrize(('lines', 'message'), [
    (['P0 1 2'], 'does not begin with'), (LINES[:-1], 'lists 3 pairs'),
    ([*LINES[:-1], 'P1 1'], 'is no pair'), ([*LINES[:-1], 'P1 1 P9 1'], 'names P9_0001')])
def test_a_malformed_list_is_one_sentence(lfw, tmp_path, lines, message):
    path = tmp_path / 'pairs.txt'
    path.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=message):
        read_pairs(path, lfw)


def test_drawn_pairs_repeat_and_folds_share_nobody(tmp_path):
    faces = build_faces('celeba', celeba(tmp_path, num_identities=21, each=2))
    pairs, again = draw_pairs(faces, 4, seed=3), draw_pairs(faces, 4, seed=3)
    assert all(np.array_equal(getattr(pairs, name), getattr(again, name)) for name in ('first', 'second', 'same', 'fold'))
    assert (faces.labels[pairs.first] == faces.labels[pairs.second]).tolist() == pairs.same.tolist()
    assert (pairs.first != pairs.second).all() and len(pairs.same) == 80
    people = [set(faces.labels[pairs.first[pairs.fold == k]]) | set(faces.labels[pairs.second[pairs.fold == k]])
              for k in range(10)]
    assert sum(map(len, people)) == len(set.union(*people))


def test_folds_are_reported_by_mean_and_deviation():
    scores = torch.tensor([0.9, 0.1, 0.8, 0.15, 0.3, 0.7]).numpy()
    same, fold = np.array([True, False] * 3), np.array([0, 0, 1, 1, 2, 2])
    found = in_folds(scores, same, fold)  # the last fold is upside down
    assert found['auc'] == (pytest.approx(2 / 3), pytest.approx((2 / 9) ** 0.5))
    assert found['accuracy'][0] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match='each fold'):
        in_folds(scores, same, np.arange(6))
