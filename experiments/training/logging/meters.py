"""Running sums of losses, kept on the device so that no step waits for it."""
import torch
from torch import Tensor


class MeanMeter:
    """Means of the finite values of named losses since the last reading, and the first step at which one was not finite."""

    def __init__(self):
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}
        self._first_bad: dict[str, Tensor] = {}

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        """Losses are scalars of one step."""
        for name, loss in losses.items():
            value = loss.detach().float()
            finite = torch.isfinite(value)
            self._sums[name] = self._sums.get(name, 0) + torch.where(finite, value, 0)
            self._counts[name] = self._counts.get(name, 0) + finite
            known = self._first_bad.get(name, torch.full((), -1, device=value.device))
            self._first_bad[name] = torch.where((known < 0) & ~finite, step, known)

    def bad(self) -> tuple[int, str] | None:
        """(step, loss) of the first value that was NaN or infinite. Waits for the device."""
        if not self._first_bad:
            return None
        steps = torch.stack(list(self._first_bad.values())).tolist()
        return min(((step, name) for step, name in zip(steps, self._first_bad) if step >= 0), default=None)

    def means(self) -> dict[str, float]:
        """The mean of each loss since the last call, NaN where no value was finite: gradients overflow in the first steps in
        float16, which the scaler then leaves out. Waits for the device."""
        means = {name: float(total / self._counts[name]) for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means
