"""One network of the parity suite: how it is built and called."""
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tests.parity.rule import Facts


@dataclass(frozen=True)
class Network:
    """build: config of the manifest -> module. call: module with the fixture's weights, facts -> the fixture's outputs.

    tolerance: largest difference over largest value of an output, where it is not 2e-5. labels: outputs that are class
    ids; one in a thousand may differ, where two classes are equally likely.
    """

    build: Callable[[dict], nn.Module]
    call: Callable[[nn.Module, Facts], dict[str, Tensor]]
    tolerance: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def forward(*names: str) -> Callable[[nn.Module, Facts], dict[str, Tensor]]:
    """Run the module on the deterministic inputs and name what it returns."""
    def call(network: nn.Module, facts: Facts) -> dict[str, Tensor]:
        with torch.no_grad():
            outputs = network(*facts.inputs())
        return dict(zip(names, [outputs] if isinstance(outputs, Tensor) else outputs, strict=True))
    return call
