"""Losses against independent formulations."""
import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl

from models.losses.background import background_l1
from models.losses.identity import cosine_id_loss
from models.losses.kl import kl_divergence, reparametrize
from models.losses.parsing import parsing_agreement
from models.losses.perceptual import perceptual_l1
from models.losses.reconstruction import contrast_l1, edges_l1, reconstruction_l1, shading_l1


def images(seed: int = 0, size: int = 16) -> torch.Tensor:
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_kl_equals_that_of_torch_distributions():
    mean, logvar = images(0), images(1)
    expected = reference_kl(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(kl_divergence(mean, logvar), expected)


def test_free_bits_remove_the_gradient_of_a_channel_below_them():
    mean, logvar = 0.01 * images(0), torch.zeros(3, 3, 16, 16)
    mean[:, 2] += 3
    mean.requires_grad_()
    kl_divergence(mean, logvar, free_bits=0.1).backward()
    assert mean.grad[:, :2].abs().max() == 0 and mean.grad[:, 2].abs().min() > 0


def test_samples_have_the_mean_and_deviation_of_their_distribution():
    mean, logvar = torch.full((4, 4, 64, 64), 2.0), torch.full((4, 4, 64, 64), -1.0)
    sample = reparametrize(mean, logvar, generator=torch.Generator().manual_seed(0))
    assert sample.mean().item() == pytest.approx(2, abs=0.01) and sample.std().item() == pytest.approx(0.6065, abs=0.01)


def test_background_is_the_mean_outside_the_face():
    target, face = images(), torch.zeros(3, 1, 16, 16)
    face[:, :, 4:12, 4:12] = 1
    swap = target + face * 5
    assert background_l1(swap, target, face) == 0
    torch.testing.assert_close(background_l1(swap + 0.25 * (1 - face), target, face), torch.tensor(0.25))


def test_reconstruction_is_the_mean_over_selected_samples():
    target = images()
    swap = target + torch.tensor([0.1, 0.2, 0.4])[:, None, None, None]
    torch.testing.assert_close(reconstruction_l1(swap, target, torch.tensor([True, False, True])), torch.tensor(0.25))
    assert reconstruction_l1(swap, target, torch.tensor([False] * 3)) == 0


def test_cosine_loss_is_0_for_equal_and_2_for_opposite_embeddings():
    unit = torch.nn.functional.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    assert cosine_id_loss(unit, unit).item() == pytest.approx(0, abs=1e-6)
    assert cosine_id_loss(unit, -unit).item() == pytest.approx(2, abs=1e-6)


def test_shading_depends_on_light_not_on_detail():
    target, face = torch.zeros(2, 3, 48, 48), torch.ones(2, 1, 48, 48)
    detail = torch.ones(2, 3, 48, 48)
    detail[..., ::2] = -1
    assert shading_l1(detail, target, face).item() == pytest.approx(0, abs=1e-6)
    assert shading_l1(target + 0.5, target, face).item() == pytest.approx(0.5)


def test_contrast_depends_on_blur_in_the_face_not_on_positions():
    sharp = torch.rand(2, 3, 32, 32) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    face = torch.zeros(2, 1, 32, 32)
    face[..., 8:24, 8:24] = 1
    assert contrast_l1(sharp, sharp, face) == 0
    assert contrast_l1(sharp.roll(1, 3), sharp, face) < 0.3 * contrast_l1(blurred, sharp, face)
    elsewhere = torch.where(face.bool(), sharp, blurred)
    elsewhere[..., 4:28, 4:28] = sharp[..., 4:28, 4:28]
    assert contrast_l1(elsewhere, sharp, face) < 0.05 * contrast_l1(blurred, sharp, face)


def test_edges_depend_on_blur_and_shift_not_on_light():
    sharp = torch.rand(2, 3, 32, 32) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    first = torch.tensor([True, False])
    assert edges_l1(sharp + 0.3, sharp, first) < 1e-5
    assert min(edges_l1(blurred, sharp, first), edges_l1(sharp.roll(1, 3), sharp, first)) > 0.5
    assert edges_l1(torch.stack([sharp[0], blurred[1]]), sharp, first) == 0


def test_perceptual_distance_grows_with_the_difference_without_a_gradient_of_the_reference():
    maps, references = [images(0).requires_grad_()], [images(1).requires_grad_()]
    selected = torch.tensor([True, True, False])
    near = perceptual_l1([references[0] + 0.1], references, selected)
    far = perceptual_l1(maps, references, selected)
    far.backward()
    assert near < far and references[0].grad is None
    assert maps[0].grad[2].abs().max() == 0 and maps[0].grad[:2].abs().max() > 0


def test_parsing_agreement_is_a_mean_over_the_face():
    labels, face = torch.randint(0, 19, (2, 8, 8), generator=torch.Generator().manual_seed(0)), torch.ones(2, 1, 8, 8)
    right = 10 * torch.nn.functional.one_hot(labels, 19).movedim(-1, 1).float()
    face[:, :, :4] = 0
    wrong_outside = torch.cat([right[:, :, :4].roll(1, 1), right[:, :, 4:]], 2)
    assert parsing_agreement(right, labels, face) < 0.01
    torch.testing.assert_close(parsing_agreement(wrong_outside, labels, face), parsing_agreement(right, labels, face))
    assert parsing_agreement(right.roll(1, 1), labels, face) > 5
