"""Exponential moving average (EMA) of weights; buffers are copied."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """EMA of some modules of a root module, under the names of the root's state_dict.

    The decay of update number `step` warms up as min(decay, (1 + s) / (10 + s)) with s = step - start, so that early averages do
    not retain the random initialization. Before the update number `start` the average equals the root.

    Args:
        root: the module in training.
        modules: submodules to average: name -> module.
        decay: weight of the previous average, in [0,1).
        start: number of the first update, counted from 0, that enters the average.

    Raises:
        ValueError: where a module is no submodule of the root.
    """

    def __init__(self, root: nn.Module, modules: dict[str, nn.Module], decay: float, start: int = 0):
        paths = {module: path for path, module in root.named_modules()}
        self.root, self.decay, self.start = root, decay, start
        self._prefixes = []
        for name, module in modules.items():
            if module not in paths:
                raise ValueError(f'{name!r} of ema_modules is no submodule of {type(root).__name__}')
            self._prefixes.append(f'{paths[module]}.' if paths[module] else '')
        self._shadow = {name: value.clone() for name, value in self._live().items()}

    def _live(self) -> dict[str, Tensor]:
        """The followed entries of the root's state_dict, which share its memory."""
        return {name: value.detach() for name, value in self.root.state_dict().items() if name.startswith(tuple(self._prefixes))}

    def _pairs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """(name, average, live value) of each entry."""
        live = self._live()
        if live.keys() != self._shadow.keys():
            raise ValueError(f'the average and the model differ in {sorted(live.keys() ^ self._shadow.keys())}')
        for name, value in live.items():
            yield name, self._shadow[name], value

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average the root after its update number `step`, counted from 0."""
        since_start = step - self.start
        decay = min(self.decay, (1 + since_start) / (10 + since_start)) if since_start >= 0 else 0.0
        parameters = {name for name, _ in self.root.named_parameters(remove_duplicate=False)}
        for name, shadow, value in self._pairs():
            if name in parameters:
                shadow.lerp_(value, 1 - decay)
            else:
                shadow.copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the root holds the EMA weights; restores its weights bit-exactly on exit."""
        live = {name: value.clone() for name, _, value in self._pairs()}
        try:
            with torch.no_grad():
                for _, shadow, value in self._pairs():
                    value.copy_(shadow)
            yield
        finally:
            with torch.no_grad():
                for name, _, value in self._pairs():
                    value.copy_(live[name])

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Load the averages from a state_dict of the root that was taken inside `applied`."""
        for name, shadow, _ in self._pairs():
            shadow.copy_(state[name])
