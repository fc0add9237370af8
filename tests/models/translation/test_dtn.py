"""Domain transfer network: constancy loss, ternary discriminator."""
import pytest
import torch

from models.registry import build_family
from tests.contract.stubs import ID_DIM, tiny_perception
from tests.models.translation.batches import has_gradient, pairs

DTN = {'size': 16, 'width': 4, 'discriminator_width': 4, 'features': ID_DIM}


def dtn(**changes):
    torch.manual_seed(0)
    return build_family('dtn', {**DTN, **changes}, tiny_perception())


class ConstantClasses(torch.nn.Module):
    """Discriminator with constant logits. classes: (N,) class of each image."""

    def __init__(self, classes):
        super().__init__()
        self.logits = 10 * torch.nn.functional.one_hot(classes, 3).float()

    def forward(self, images):
        return self.logits


@pytest.mark.parametrize('encoder', ['frozen', 'joint'])
def test_the_gradient_of_constancy_reaches_the_decoder(encoder):
    family = dtn(encoder=encoder, weights={'constancy': 1.0})
    family('generator', pairs(), 0, {})['constancy'].backward()
    assert has_gradient(family.decoder) and has_gradient(family.encoder) == (encoder == 'joint')


def test_the_ternary_discriminator_has_three_classes():
    """Correct logits have a small discriminator loss and a large generator loss, whose target is the third class."""
    family, batch = dtn(), pairs()
    classes = torch.tensor([0, 0, 1, 1, 2, 2])
    family.discriminator = ConstantClasses(classes)
    assert family('discriminator', batch, 0, {})['discriminator'] < 0.01
    family.discriminator = ConstantClasses(classes[:4])
    adversarial = family('generator', batch, 0, {})['adversarial']
    family.discriminator = ConstantClasses(torch.full((4,), 2))
    assert family('generator', batch, 0, {})['adversarial'] < 0.01 < 9 < adversarial
