"""The game between a generator and its discriminators."""
from typing import get_args

import pytest
import torch
from torch import nn

from models.losses.adversarial import (
    Adversary,
    accuracy,
    clip_weights,
    discriminator_on_fake,
    discriminator_on_real,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)

KINDS = get_args(Adversary)


@pytest.mark.parametrize('kind', KINDS)
def test_param_groups_pull_in_opposite_directions(kind):
    """An undecided discriminator wants higher logits of real and lower ones of fake; a generator higher ones of its own."""
    logits = torch.full((2, 1, 3, 3), 0.4, requires_grad=True)
    losses = discriminator_on_real, discriminator_on_fake, generator_loss
    slopes = [torch.autograd.grad(loss(kind, [logits]), logits)[0].sum() for loss in losses]
    assert slopes[0] < 0 < slopes[1] and slopes[2] < 0


def test_scales_count_alike_whatever_their_size():
    large, small = torch.full((1, 1, 8, 8), 3.0), torch.full((1, 1, 2, 2), -1.0)
    assert discriminator_on_fake('wgan', [large, small]) == pytest.approx(1.0)


@pytest.mark.parametrize(('real', 'fake', 'kind', 'value'), [
    (2.0, -2.0, 'hinge', 0.0), (0.5, 0.0, 'hinge', 1.5), (1.0, 0.0, 'lsgan', 0.0), (0.0, 1.0, 'lsgan', 2.0),
    (3.0, 1.0, 'wgan', -2.0),
])
def test_values_of_the_papers(real, fake, kind, value):
    total = discriminator_on_real(kind, [torch.tensor([[real]])]) + discriminator_on_fake(kind, [torch.tensor([[fake]])])
    assert total == pytest.approx(value)


def test_accuracy_tells_both_sides():
    real, fake = [torch.tensor([[1.0], [-1.0]])], [torch.tensor([[-1.0], [-2.0]])]
    assert [float(share) for share in accuracy(real, fake)] == [0.5, 1.0]


def linear(slope: float):
    return lambda images: [images.flatten(1).sum(1, keepdim=True) * slope]


def test_penalties_know_the_slope_of_a_linear_discriminator():
    real, fake = torch.rand(2, 3, 3, 4, 4)
    length = (3 * 4 * 4) ** 0.5
    assert gradient_penalty(linear(0.5), real, fake) == pytest.approx((0.5 * length - 1) ** 2, rel=1e-4)
    assert r1_penalty(linear(0.5), real) == pytest.approx(0.5 * (0.5 * length) ** 2, rel=1e-4)


@pytest.mark.parametrize('penalty', [lambda discriminator, x: gradient_penalty(discriminator, x, -x), r1_penalty])
def test_penalties_teach_the_discriminator(penalty):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 1, 3))
    penalty(lambda images: [net(images)], torch.rand(2, 3, 8, 8)).backward()
    assert net[0].weight.grad.abs().max() > 0


def test_clipped_weights_stay_inside():
    net = nn.Linear(3, 3)
    clip_weights(net, 0.01)
    assert all(parameter.abs().max() <= 0.01 for parameter in net.parameters())
