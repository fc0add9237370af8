"""Batches of two domains, a counter of calls, a check of gradients."""
import torch
from torch import nn

from models.batch import PairBatch


def pairs(count: int = 2, size: int = 16, seed: int = 0) -> PairBatch:
    """Random images of two domains that differ in brightness."""
    a, b = torch.rand(2, count, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return PairBatch(a - 1, b, torch.zeros(count, dtype=torch.bool))


class Calls:
    """Counts the forward calls of a network from its construction on."""

    def __init__(self, network: nn.Module):
        self.count = 0
        network.register_forward_hook(self._increment)

    def _increment(self, *unused) -> None:
        self.count += 1


def has_gradient(network: nn.Module) -> bool:
    """Whether any parameter has a nonzero gradient."""
    return any(parameter.grad is not None and bool(parameter.grad.abs().max() > 0) for parameter in network.parameters())
