"""What the forms of the identity loss ask for."""
import pytest
import torch
import torch.nn.functional as F

from models.losses.identity import identity_distance, identity_distillation, identity_drift, identity_hinge

PEOPLE = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=1)


def id_guidance(share: float) -> torch.Tensor:
    """Unit vectors between strangers (0) and the people themselves (1)."""
    strangers = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    return F.normalize(share * PEOPLE + (1 - share) * strangers, dim=1)


@pytest.mark.parametrize('loss', [identity_distance, identity_hinge, identity_distillation])
def test_the_loss_falls_on_the_way_to_the_source_and_vanishes_there(loss):
    values = [float(loss(id_guidance(share), PEOPLE)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.01 and values[-1] == pytest.approx(0, abs=1e-6)


def test_the_hinge_is_content_before_the_others():
    near = id_guidance(0.8)
    assert identity_hinge(near, PEOPLE) == 0 < identity_distance(near, PEOPLE)


def test_distillation_knows_no_own_row_and_stands_a_batch_of_one():
    assert identity_distillation(id_guidance(0.2)[:1], PEOPLE[:1]) == 0
    swap = id_guidance(0.2).requires_grad_()
    identity_distillation(swap, PEOPLE).backward()
    assert swap.grad.abs().max() > 0


def test_drift_is_what_all_swaps_have_in_common_and_not_how_far_each_is_off():
    random = torch.Generator().manual_seed(2)
    off, common = 0.2 * torch.randn(2000, 6, 16, generator=random), 0.1 * torch.randn(16, generator=random)
    without = torch.stack([identity_drift(PEOPLE + each, PEOPLE) for each in off]).mean()
    together = torch.stack([identity_drift(PEOPLE + each + common, PEOPLE) for each in off]).mean()
    assert without == pytest.approx(0, abs=0.01)  # the squared distance of such means is 0.1
    assert together == pytest.approx(float(common.square().sum()), abs=0.01)


def test_drift_asks_for_two_at_least():
    assert identity_drift(PEOPLE[:1], PEOPLE[1:2]) == 0
