"""A network of the parity suite: its construction and its call."""
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tests.parity.fixture import Fixture


@dataclass(frozen=True)
class Network:
    """Construction and call of a network.

    Args:
        build: config of the manifest -> module.
        call: module with the weights of the fixture, fixture -> outputs.
        tolerance: output -> largest difference over largest value; 2e-5 for other outputs.
        labels: outputs that are class ids; one in a thousand may differ, where two classes are equally likely.
    """

    build: Callable[[dict], nn.Module]
    call: Callable[[nn.Module, Fixture], dict[str, Tensor]]
    tolerance: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def forward(*names: str) -> Callable[[nn.Module, Fixture], dict[str, Tensor]]:
    """A call that runs the module on the inputs of the fixture and names its outputs."""
    def call(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
        with torch.no_grad():
            outputs = network(*fixture.inputs())
        return dict(zip(names, [outputs] if isinstance(outputs, Tensor) else outputs, strict=True))
    return call
