import pytest
import torch
from torch import nn

from models.runtime.winograd import Conv3x3


@pytest.mark.parametrize('options, size', [({}, (18, 18)), ({'padding': 1, 'padding_mode': 'reflect', 'bias': False}, (12, 24)),
                                           ({'padding': 1}, (7, 8)), ({}, (6, 10))])
def test_values_and_gradients_are_those_of_the_common_convolution(options, size):
    torch.manual_seed(0)
    ours = Conv3x3(192, 192, 3, **options)
    theirs = nn.Conv2d(192, 192, 3, **options)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 192, *size, requires_grad=True)
    found = []
    for network in (ours, theirs):
        y = network(x)
        found.append([y.detach(), *torch.autograd.grad(y.sin().sum(), [x, *network.parameters()])])
    for first, second in zip(*found):
        assert (first - second).abs().max() < 1e-4 * second.abs().max()


def test_without_gradients_it_is_the_common_convolution_to_the_bit():
    network, x = Conv3x3(192, 192, 3), torch.randn(2, 192, 18, 18)
    with torch.no_grad():
        assert torch.equal(network(x), torch.conv2d(x, network.weight, network.bias))


def test_under_autocast_it_keeps_full_precision():
    network, x = Conv3x3(192, 192, 3), torch.randn(2, 192, 18, 18, requires_grad=True)
    found = []
    for half in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            y = network(x)
        found.append([y.detach(), *torch.autograd.grad(y.square().sum(), [x, *network.parameters()])])
    assert all(torch.equal(first, second) for first, second in zip(*found))
