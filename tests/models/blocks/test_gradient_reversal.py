"""Gradient reversal."""
import torch

from models.blocks.gradient_reversal import reverse_gradient


def test_a_reversed_gradient_has_the_opposite_sign():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-3.0, -3.0]))
