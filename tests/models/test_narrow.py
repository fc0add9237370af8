import pytest
import torch
from torch import nn

from models.runtime.narrow import NarrowConv2d


@pytest.mark.parametrize('side, options', [(7, {}), (3, {'padding': 1, 'bias': False}), (1, {})])
@pytest.mark.parametrize('image_learns', [True, False])
def test_values_and_gradients_are_those_of_the_common_convolution(side, options, image_learns):
    torch.manual_seed(0)
    ours = NarrowConv2d(16, 3, side, **options)
    theirs = nn.Conv2d(16, 3, side, **options)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 16, 9, 12, requires_grad=image_learns)
    found = []
    for network in (ours, theirs):
        y = network(x)
        learned = [x, *network.parameters()] if image_learns else list(network.parameters())
        found.append([y.detach(), *torch.autograd.grad(y.sin().sum(), learned)])
    for first, second in zip(*found):
        assert (first - second).abs().max() < 1e-5 * second.abs().max()


def test_under_autocast_it_keeps_full_precision():
    network, x = NarrowConv2d(16, 3, 7), torch.randn(1, 16, 9, 9)
    exact = network(x)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(network(x), exact)
