import torch
from torch import nn

from models.runtime.upsampling import DoubledConv3x3


def test_values_and_gradients_are_those_of_doubling_and_then_the_convolution():
    torch.manual_seed(0)
    ours = DoubledConv3x3(5, 7)
    theirs = nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(5, 7, 3))
    theirs[2].load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, 4, 6, requires_grad=True)
    found = []
    for network in (ours, theirs):
        y = network(x)
        found.append([y.detach(), *torch.autograd.grad(y.sin().sum(), [x, *network.parameters()])])
    for first, second in zip(*found):
        torch.testing.assert_close(first, second)
