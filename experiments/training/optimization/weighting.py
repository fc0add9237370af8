"""Weights of the losses that a family returns."""
import difflib
import operator
from functools import reduce

import torch
from torch import Tensor

from experiments.training.errors import RunError


class LossWeighting:
    """Weighted sums of named losses, with checks of the names.

    Args:
        weights: weight by name of the loss.
    """

    def __init__(self, weights: dict[str, float]):
        self.weights = weights
        self._groups: dict[str, str] = {}  # loss -> the parameter group that returns it

    def __call__(self, group: str, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the losses of a parameter group, a scalar. Raises RunError where a loss has no weight or is
        returned by two groups, where there is no loss, or where none has a gradient though gradients are enabled."""
        for name in losses:
            if name not in self.weights:
                raise RunError(f'the parameter group {group} returned the loss {name!r}, which has no weight; '
                               f'weights are given for: {", ".join(self.weights)}')
            if self._groups.setdefault(name, group) != group:
                raise RunError(f'the parameter groups {self._groups[name]} and {group} both return a loss {name!r}; give them '
                               'different names')
        if not losses:
            raise RunError(f'the parameter group {group} returned no loss; give one of its losses a weight other than 0')
        total = reduce(operator.add, (self.weights[name] * loss for name, loss in losses.items()))
        if torch.is_grad_enabled() and not total.requires_grad:
            raise RunError(f'the losses of the parameter group {group} are constant: {", ".join(losses)}; give another of its '
                           'losses a weight other than 0')
        return total

    def check_all_used(self) -> None:
        """Raise RunError where no parameter group has returned a loss whose weight is not 0."""
        for name, weight in self.weights.items():
            if weight and name not in self._groups:
                similar = difflib.get_close_matches(name, self._groups, n=1)
                hint = f'did you mean {similar[0]!r}' if similar else f'there are: {", ".join(self._groups)}'
                raise RunError(f'model.weights names the loss {name!r} but no parameter group returns it; {hint}')
