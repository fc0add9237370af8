"""Entry of the parity suite: construction and call of a network."""
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tests.parity.fixture import Fixture


@dataclass(frozen=True)
class Network:
    """build: config of the manifest -> module. call: module with the weights of the fixture, fixture -> named outputs.

    tolerance: largest difference of an output, relative to its largest value; 2e-5 by default. labels: outputs that are
    class ids; one in a thousand may differ, where two classes are equally likely.
    """

    build: Callable[[dict], nn.Module]
    call: Callable[[nn.Module, Fixture], dict[str, Tensor]]
    tolerance: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def forward(*names: str) -> Callable[[nn.Module, Fixture], dict[str, Tensor]]:
    """Call of the module with the deterministic inputs; `names` are those of its outputs."""
    def call(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
        with torch.no_grad():
            outputs = network(*fixture.inputs())
        return dict(zip(names, [outputs] if isinstance(outputs, Tensor) else outputs, strict=True))
    return call
