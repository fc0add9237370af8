import pytest
import torch
from torch import nn

from experiments.training.optimization.ema import EMA


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.network = nn.Linear(2, 2)  # its name begins like the other's


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


def test_own_weights_come_back_bit_for_bit_even_after_an_error():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9)
    with torch.no_grad():
        root.net[0].weight.add_(1e-3)
    own = {name: value.clone() for name, value in root.state_dict().items()}
    with pytest.raises(KeyError), ema.applied():
        assert not torch.equal(root.net[0].weight, own['net.0.weight'])
        raise KeyError
    assert all(torch.equal(value, own[name]) for name, value in root.state_dict().items())


def test_only_the_named_module_is_followed():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9)
    with torch.no_grad():
        root.network.weight.fill_(5)
    with ema.applied():
        assert root.network.weight.unique().tolist() == [5]


def test_a_model_that_changed_its_keys_is_refused():
    root = Pair()
    ema = EMA(root, {'net': root.net}, decay=0.9)
    root.net.append(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r'net\.2\.weight'):
        ema.update(0)


def test_a_module_from_elsewhere_is_refused():
    with pytest.raises(ValueError, match="'net' of ema_modules is no submodule"):
        EMA(Pair(), {'net': nn.Linear(1, 1)}, decay=0.9)
