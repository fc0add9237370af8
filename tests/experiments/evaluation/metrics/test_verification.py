"""Each figure against its definition, counted pair by pair."""
import itertools

import numpy as np
import pytest
import torch

from experiments.evaluation.metrics.verification import accuracy, all_pairs, auc, tar_at_far, verification


@pytest.fixture(params=['few, with ties', 'many', 'hopeless', 'perfect'])
def pairs(request):
    random = np.random.default_rng(3)
    same = random.random(400 if request.param == 'many' else 120) < 0.3
    gap = {'hopeless': 0, 'perfect': 10}.get(request.param, 1)
    scores = random.normal(gap * same, 1)
    return (scores.round(1) if 'ties' in request.param else scores), same


def test_auc_counts_won_duels(pairs):
    scores, same = pairs
    duels = [(a > b) + (a == b) / 2 for a, b in itertools.product(scores[same], scores[~same])]
    assert auc(scores, same) == pytest.approx(np.mean(duels))


@pytest.mark.parametrize('far', [0.0, 0.01, 0.1, 0.5])
def test_tar_is_the_most_that_the_allowed_false_alarms_buy(pairs, far):
    scores, same = pairs
    allowed = [(scores[same] > threshold).mean() for threshold in scores if (scores[~same] > threshold).mean() <= far]
    assert tar_at_far(scores, same, far) == pytest.approx(max(allowed))


def test_accuracy_of_a_perfect_and_of_a_useless_score():
    same = np.arange(2000) % 4 == 0
    assert accuracy(same + 0.0, same) == 1
    assert accuracy(np.random.default_rng(0).normal(size=2000), same) == pytest.approx(0.5, abs=0.05)
    assert accuracy(1 - same, same) == pytest.approx(0.5, abs=0.01), 'a score that is upside down is no better than none'


def test_all_pairs_are_taken_once():
    identities = torch.nn.functional.normalize(torch.randn(5, 3), dim=1)
    people = torch.tensor([0, 1, 0, 2, 1])
    scores, same = all_pairs(identities, people)
    wanted = list(itertools.combinations(range(5), 2))
    assert scores.tolist() == pytest.approx([float(identities[i] @ identities[j]) for i, j in wanted], abs=1e-6)
    assert same.tolist() == [bool(people[i] == people[j]) for i, j in wanted]


def test_one_kind_of_pairs_is_not_enough():
    with pytest.raises(ValueError, match='several identities'):
        verification(np.ones(4), np.ones(4, bool))
