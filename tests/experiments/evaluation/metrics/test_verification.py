"""Verification metrics against their definitions."""
import itertools

import numpy as np
import pytest
import torch

from experiments.evaluation.metrics.verification import accuracy, all_pairs, auc, tar_at_far, verification


@pytest.fixture(params=['few, with ties', 'many', 'random', 'perfect'])
def pairs(request):
    rng = np.random.default_rng(3)
    same = rng.random(400 if request.param == 'many' else 120) < 0.3
    gap = {'random': 0, 'perfect': 10}.get(request.param, 1)
    scores = rng.normal(gap * same, 1)
    return (scores.round(1) if 'ties' in request.param else scores), same


def test_auc_is_the_share_of_ordered_pairs_of_scores(pairs):
    scores, same = pairs
    ordered = [(a > b) + (a == b) / 2 for a, b in itertools.product(scores[same], scores[~same])]
    assert auc(scores, same) == pytest.approx(np.mean(ordered))


@pytest.mark.parametrize('far', [0.0, 0.01, 0.1, 0.5])
def test_tar_is_the_largest_at_the_allowed_far(pairs, far):
    scores, same = pairs
    allowed = [(scores[same] > threshold).mean() for threshold in scores if (scores[~same] > threshold).mean() <= far]
    assert tar_at_far(scores, same, far) == pytest.approx(max(allowed))


def test_accuracy_of_perfect_random_and_inverted_scores():
    same = np.arange(2000) % 4 == 0
    assert accuracy(same + 0.0, same) == 1
    assert accuracy(np.random.default_rng(0).normal(size=2000), same) == pytest.approx(0.5, abs=0.05)
    assert accuracy(1 - same, same) == pytest.approx(0.5, abs=0.01)


def test_each_pair_is_taken_once():
    embeddings = torch.nn.functional.normalize(torch.randn(5, 3), dim=1)
    labels = torch.tensor([0, 1, 0, 2, 1])
    scores, same = all_pairs(embeddings, labels)
    pairs = list(itertools.combinations(range(5), 2))
    assert scores.tolist() == pytest.approx([float(embeddings[i] @ embeddings[j]) for i, j in pairs], abs=1e-6)
    assert same.tolist() == [bool(labels[i] == labels[j]) for i, j in pairs]


def test_pairs_of_one_kind_are_refused():
    with pytest.raises(ValueError, match='several identities'):
        verification(np.ones(4), np.ones(4, bool))
