"""Means of losses and metrics, accumulated on the device, and throughput."""
import time

import torch
from torch import Tensor


class MeanMeter:
    """Means of named scalars over the steps since the last reading. Values that are not finite are left out of the means, and
    the first one is recorded."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}
        self._nonfinite_steps: dict[str, Tensor] = {}  # first step with a value that is not finite, -1 for none

    def add(self, step: int, values: dict[str, Tensor]) -> None:
        """Add the scalars of a step, without waiting for the device."""
        for name, scalar in values.items():
            value = scalar.detach().float()
            finite = torch.isfinite(value)
            self._sums[name] = self._sums.get(name, 0) + torch.where(finite, value, 0)
            self._counts[name] = self._counts.get(name, 0) + finite
            first = self._nonfinite_steps.get(name, torch.full((), -1, device=value.device))
            self._nonfinite_steps[name] = torch.where((first < 0) & ~finite, step, first)

    def first_nonfinite(self) -> tuple[int, str] | None:
        """(step, name) of the first value that was NaN or infinite. Waits for the device."""
        if not self._nonfinite_steps:
            return None
        steps = torch.stack(list(self._nonfinite_steps.values())).tolist()
        return min(((step, name) for step, name in zip(steps, self._nonfinite_steps) if step >= 0), default=None)

    def means(self) -> dict[str, float]:
        """The mean of each value since the last call; NaN where none was finite, as for gradient norms of steps that the gradient
        scaler skips (float16 overflow). Waits for the device."""
        means = {name: float(total / self._counts[name]) for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means


class Throughput:
    """Items per second of wall-clock time since the last reading."""

    def __init__(self) -> None:
        self._start, self._count = time.monotonic(), 0

    def add(self, count: int) -> None:
        """Count processed items."""
        self._count += count

    def read(self) -> float:
        """Items per second since the last call; starts over."""
        now = time.monotonic()
        rate = self._count / (now - self._start)
        self._start, self._count = now, 0
        return rate
