"""What the translators between photos (domain a) and drawings (domain b) share."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PairBatch

Direction = Literal['a2b', 'b2a']


class Handover:
    """What the generators made in their update, kept for the critics' update of the same step, so that nothing is made twice."""

    def __init__(self):
        self._step, self._kept = -1, {}

    def put(self, step: int, given: Tensor, made: Any) -> None:
        """Keep what was made from the pictures `given`; of another step nothing stays."""
        if step != self._step:
            self._step, self._kept = step, {}
        self._kept[id(given)] = given, made

    def take(self, step: int, given: Tensor) -> Any:
        """What was made from these very pictures in this step, once; None where there is nothing."""
        if step != self._step:
            return None
        return self._kept.pop(id(given), (None, None))[1]


@contextmanager
def still(*networks: nn.Module) -> Iterator[None]:
    """Inside, the networks are in eval mode: critics that are only asked take no power step of their spectral norm."""
    before = [network.training for network in networks]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for network, training in zip(networks, before):
            network.train(training)


class Translator(Family):
    """Base of the translators: each translates both ways, and `generate` and the panel show it."""

    batch_type = PairBatch
    needs: dict[str, str] = {}  # loss term -> the network of the perception that it asks

    def __init__(self, config: FamilyConfig, perception: Perception | None):
        super().__init__(config, perception)
        self.handover = Handover()

    def check_needs(self) -> None:
        """ValueError where a weighted term asks a frozen network that the run does not have."""
        for term, name in self.needs.items():
            if self.wants(term) and self.perception is not None and getattr(self.perception, name) is None:
                raise ValueError(f'the loss term {term!r} needs perception.{name}: name one, or set model.weights.{term}=0')

    def translate(self, pictures: Tensor, direction: Direction = 'a2b', *, generator: torch.Generator | None = None) -> Tensor:
        """(B,3,H,W) of the one domain -> (B,3,H,W) in [-1,1] of the other, without gradient; `generator` draws what is random."""
        raise TypeError(f'{type(self).__name__} translates nothing')

    def generate(self, batch: PairBatch, *, generator: torch.Generator | None = None) -> Tensor:
        return self.translate(batch.a, generator=generator)

    def panel(self, batch: PairBatch) -> dict[str, Tensor]:
        return {'a': batch.a, 'a to b': self.translate(batch.a), 'b': batch.b, 'b to a': self.translate(batch.b, 'b2a')}
