"""An exponential moving average of weights, with buffers copied along."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Follows some modules of a root module; its entries carry the root's state_dict names.

    The decay warms up with the step, min(decay, (1 + step) / (10 + step)), so that the first averages forget the random start.
    Before the update number `start` the average is the root itself. Raises ValueError where a module is no submodule of the root.
    """

    def __init__(self, root: nn.Module, modules: dict[str, nn.Module], decay: float, start: int = 0):
        places = {module: place for place, module in root.named_modules()}
        self.root, self.decay, self.start = root, decay, start
        self._prefixes = []
        for name, module in modules.items():
            if module not in places:
                raise ValueError(f'{name!r} is to be averaged but is no submodule of {type(root).__name__}')
            self._prefixes.append(f'{places[module]}.' if places[module] else '')
        self._shadow = {name: value.clone() for name, value in self._live().items()}

    def _live(self) -> dict[str, Tensor]:
        """The followed entries of the root's state, sharing its memory."""
        return {name: value.detach() for name, value in self.root.state_dict().items() if name.startswith(tuple(self._prefixes))}

    def _pairs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        live = self._live()
        if live.keys() != self._shadow.keys():
            raise ValueError(f'the average and the model differ in {sorted(live.keys() ^ self._shadow.keys())}')
        for name, value in live.items():
            yield name, self._shadow[name], value

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the root after its update number `step` (from 0)."""
        since = step - self.start
        decay = min(self.decay, (1 + since) / (10 + since)) if since >= 0 else 0.0
        learned = {name for name, _ in self.root.named_parameters(remove_duplicate=False)}
        for name, shadow, value in self._pairs():
            if name in learned:
                shadow.lerp_(value, 1 - decay)
            else:
                shadow.copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the root holds the EMA weights; afterwards its own again, bit for bit."""
        own = {name: value.clone() for name, _, value in self._pairs()}
        try:
            with torch.no_grad():
                for _, shadow, value in self._pairs():
                    value.copy_(shadow)
            yield
        finally:
            with torch.no_grad():
                for name, _, value in self._pairs():
                    value.copy_(own[name])

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take the average out of a state of the root that was made inside `applied`."""
        for name, shadow, _ in self._pairs():
            shadow.copy_(state[name])
