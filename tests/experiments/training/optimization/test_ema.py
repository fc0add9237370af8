"""Exponential moving average of weights."""
import pytest
import torch
from torch import nn

from experiments.training.optimization.ema import EMA


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.network = nn.Linear(2, 2)  # its name begins with the name of the other


def test_weights_are_averaged_and_buffers_copied():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.5)
    expected = root.net[0].weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            root.net[0].weight.add_(1)
            root.net[1].running_mean.add_(1)
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * root.net[0].weight.detach()
    with ema.applied():
        torch.testing.assert_close(root.net[0].weight.detach(), expected)
        assert root.net[1].running_mean.tolist() == [20, 20]


def test_average_equals_the_root_before_the_start():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9, start=3)
    for step in range(3):
        with torch.no_grad():
            root.net[0].weight.add_(1)
        ema.update(step)
    live = root.net[0].weight.detach().clone()
    with ema.applied():
        assert torch.equal(root.net[0].weight, live)


def test_applied_restores_weights_bit_exactly_after_an_error():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9)
    with torch.no_grad():
        root.net[0].weight.add_(1e-3)
    live = {name: value.clone() for name, value in root.state_dict().items()}
    with pytest.raises(KeyError), ema.applied():
        assert not torch.equal(root.net[0].weight, live['net.0.weight'])
        raise KeyError
    assert all(torch.equal(value, live[name]) for name, value in root.state_dict().items())


def test_other_modules_are_not_averaged():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9)
    with torch.no_grad():
        root.network.weight.fill_(5)
    with ema.applied():
        assert root.network.weight.unique().tolist() == [5]


def test_changed_keys_are_refused():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9)
    root.net.append(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r'net\.2\.weight'):
        ema.update(0)


def test_module_outside_of_the_root_is_refused():
    with pytest.raises(ValueError, match="'net' of ema_modules is no submodule of Pair"):
        EMA(Pair(), {'net': nn.Linear(1, 1)}, decay=0.9)
