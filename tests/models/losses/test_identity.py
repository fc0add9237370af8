"""Identity losses."""
import pytest
import torch
import torch.nn.functional as F

from models.losses.identity import cosine_id_loss, distillation_id_loss, hinge_id_loss, id_drift_loss

SOURCES = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=1)


def swaps(share: float) -> torch.Tensor:
    """Unit vectors between other identities (0) and SOURCES (1)."""
    others = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    return F.normalize(share * SOURCES + (1 - share) * others, dim=1)


@pytest.mark.parametrize('loss', [cosine_id_loss, hinge_id_loss, distillation_id_loss])
def test_losses_decrease_with_similarity_to_0(loss):
    values = [float(loss(swaps(share), SOURCES)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.01 and values[-1] == pytest.approx(0, abs=1e-6)


def test_the_hinge_is_0_above_its_threshold():
    near = swaps(0.8)
    assert hinge_id_loss(near, SOURCES) == 0 < cosine_id_loss(near, SOURCES)


def test_distillation_excludes_the_diagonal_and_accepts_a_batch_of_one():
    assert distillation_id_loss(swaps(0.2)[:1], SOURCES[:1]) == 0
    swap = swaps(0.2).requires_grad_()
    distillation_id_loss(swap, SOURCES).backward()
    assert swap.grad.abs().max() > 0


def test_drift_measures_the_common_shift_only():
    random = torch.Generator().manual_seed(2)
    noise, common = 0.2 * torch.randn(2000, 6, 16, generator=random), 0.1 * torch.randn(16, generator=random)
    without = torch.stack([id_drift_loss(SOURCES + shift, SOURCES) for shift in noise]).mean()
    together = torch.stack([id_drift_loss(SOURCES + shift + common, SOURCES) for shift in noise]).mean()
    assert without == pytest.approx(0, abs=0.01)  # the squared distance of such means is 0.1
    assert together == pytest.approx(float(common.square().sum()), abs=0.01)


def test_drift_of_one_pair_is_0():
    assert id_drift_loss(SOURCES[:1], SOURCES[1:2]) == 0
