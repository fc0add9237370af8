"""Spectral normalization."""
import copy

import pytest
import torch
from torch import nn

from models.blocks.spectral import SpectralEveryForward, spectral, unnormalized_weight


@pytest.mark.parametrize('build, shape', [(lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode='reflect'), (2, 4, 8, 8)),
                                         (lambda: nn.Conv2d(4, 6, 3, bias=False), (2, 4, 8, 8)),
                                         (lambda: nn.Linear(5, 3), (2, 5))])
def test_entries_values_and_gradients_equal_those_of_torchs_spectral_norm(build, shape):
    torch.manual_seed(0)
    plain = build()
    rng_state = torch.get_rng_state()
    reference = nn.utils.spectral_norm(copy.deepcopy(plain))
    torch.set_rng_state(rng_state)
    module = spectral(copy.deepcopy(plain))
    assert torch.equal(unnormalized_weight(module), plain.weight) and torch.equal(unnormalized_weight(plain), plain.weight)
    x = torch.randn(shape, requires_grad=True)
    for training in (True, True, False):
        results = []
        for layer in (module.train(training), reference.train(training)):
            y = layer(x) + layer(2 * x)  # two power steps before the backward pass
            results.append([y.detach(), *torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()])])
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)
        assert list(module.state_dict()) == list(reference.state_dict())
        torch.testing.assert_close(dict(module.state_dict()), dict(reference.state_dict()))
    torch.testing.assert_close(module.weight, reference.weight)
    torch.testing.assert_close(copy.deepcopy(module)(x), module(x))


@pytest.mark.parametrize('build, shape', [(lambda: nn.Conv2d(4, 6, 3), (2, 4, 8, 8)), (lambda: nn.Linear(5, 3), (2, 5))])
def test_under_autocast_the_singular_value_keeps_full_precision(build, shape):
    torch.manual_seed(0)
    layer, x = spectral(build()), torch.randn(shape)
    layer(x), layer(x)
    other = copy.deepcopy(layer)
    exact = other(x)
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(layer(x).float(), exact, atol=0.05, rtol=0.05)
    assert torch.equal(layer.weight_u, other.weight_u)


@pytest.mark.slow  # compiles
@pytest.mark.parametrize('wrap', [spectral, SpectralEveryForward])
def test_a_compiled_layer_can_be_applied_twice_before_the_backward_pass(wrap):
    torch.manual_seed(0)
    layer = wrap(nn.Conv2d(3, 4, 3))
    plain = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True)
    x = torch.randn(2, 3, 8, 8)
    for module in (plain, compiled):
        (module(x).square().sum() + module(2 * x).sum()).backward()
    for (name, value), expected in zip(layer.named_parameters(), plain.parameters()):
        torch.testing.assert_close(value, expected, msg=name)
        torch.testing.assert_close(value.grad, expected.grad, rtol=1e-4, atol=1e-4)
    assert all(torch.allclose(value, expected) for value, expected in zip(layer.buffers(), plain.buffers()))
