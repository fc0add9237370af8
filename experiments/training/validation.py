"""Validation with EMA weights: mean losses and image panels."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from experiments.training.logging.meters import MeanMeter
from experiments.training.optimization.ema import EMA
from experiments.training.state.rng import fork_rng
from models.base import Family


class Validation:
    """Evaluates a family with its EMA weights, without an effect on the training.

    Args:
        family: the family in training.
        ema: EMA weights of the family.
        groups: names of the parameter groups, in order of update.
        batches: fixed batches of the family's type, on its device; may be empty.
        seed: random seed of each evaluation.
    """

    def __init__(self, family: Family, ema: EMA, groups: Sequence[str], batches: Sequence[Any], seed: int):
        self.family, self.ema, self.groups, self.batches, self.seed = family, ema, groups, batches, seed

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Context with EMA weights, eval mode, no gradient and the random state of the seed; restores all of them on exit."""
        self.family.eval()
        try:
            with self.ema.applied(), torch.no_grad(), fork_rng(self.seed):
                yield
        finally:
            self.family.train()

    def metrics(self, step: int) -> dict[str, float]:
        """Mean losses and logged metrics over the batches: `validation/NAME` -> value. step: finished updates."""
        meter = MeanMeter()
        with self._evaluating():
            for batch in self.batches:
                cache: dict[str, Any] = {}
                for group in self.groups:
                    losses = self.family(group, batch, step, cache)
                    meter.add(step, {**losses, **self.family.pop_metrics()})
        return {f'validation/{name}': value for name, value in meter.means().items()}

    def panel(self, batch: Any) -> dict[str, Tensor]:
        """The family's panel of the first validation batch, or of `batch` where there is none."""
        with self._evaluating():
            return self.family.panel(self.batches[0] if self.batches else batch)
