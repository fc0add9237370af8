"""What the forms of the identity loss ask for."""
import pytest
import torch
import torch.nn.functional as F

from models.losses.identity import cosine_id_loss, distillation_id_loss, hinge_id_loss, id_drift_loss

PEOPLE = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=1)


def id_guidance(share: float) -> torch.Tensor:
    """Unit vectors between strangers (0) and the people themselves (1)."""
    strangers = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    return F.normalize(share * PEOPLE + (1 - share) * strangers, dim=1)


@pytest.mark.parametrize('loss', [cosine_id_loss, hinge_id_loss, distillation_id_loss])
def test_the_loss_falls_on_the_way_to_the_source_and_vanishes_there(loss):
    values = [float(loss(id_guidance(share), PEOPLE)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.01 and values[-1] == pytest.approx(0, abs=1e-6)


def test_the_hinge_is_content_before_the_others():
    near = id_guidance(0.8)
    assert hinge_id_loss(near, PEOPLE) == 0 < cosine_id_loss(near, PEOPLE)


def test_distillation_knows_no_own_row_and_stands_a_batch_of_one():
    assert distillation_id_loss(id_guidance(0.2)[:1], PEOPLE[:1]) == 0
    swap = id_guidance(0.2).requires_grad_()
    distillation_id_loss(swap, PEOPLE).backward()
    assert swap.grad.abs().max() > 0


def test_drift_is_what_all_swaps_have_in_common_and_not_how_far_each_is_off():
    random = torch.Generator().manual_seed(2)
    off, common = 0.2 * torch.randn(2000, 6, 16, generator=random), 0.1 * torch.randn(16, generator=random)
    without = torch.stack([id_drift_loss(PEOPLE + each, PEOPLE) for each in off]).mean()
    together = torch.stack([id_drift_loss(PEOPLE + each + common, PEOPLE) for each in off]).mean()
    assert without == pytest.approx(0, abs=0.01)  # the squared distance of such means is 0.1
    assert together == pytest.approx(float(common.square().sum()), abs=0.01)


def test_drift_asks_for_two_at_least():
    assert id_drift_loss(PEOPLE[:1], PEOPLE[1:2]) == 0
