import pytest
import torch
from torch import nn

from models.blocks.norms import InstanceNorm2d


@pytest.mark.parametrize('affine', [False, True])
def test_values_and_gradients_are_those_of_the_common_instance_norm(affine):
    torch.manual_seed(0)
    ours, theirs = InstanceNorm2d(6, affine=affine), nn.InstanceNorm2d(6, affine=affine)
    if affine:
        nn.init.normal_(ours.weight)
        nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x, found = (3 * torch.randn(2, 6, 5, 7) + 1).requires_grad_(), []
    for norm in (ours, theirs):
        y = norm(x)
        slopes = torch.autograd.grad(y.sin().sum(), [x, *norm.parameters()], create_graph=True)
        found.append([y, *slopes, *torch.autograd.grad(slopes[0].square().sum(), x)])  # the last as a gradient penalty asks
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)
