"""How weights begin."""
from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def initialize(module: nn.Module, draw: Callable[[Tensor], Tensor]) -> nn.Module:
    """Fill every matrix and kernel inside by `draw`, such as partial(nn.init.normal_, std=0.02), in place; biases of convolutions
    and linear layers become 0, norms stay the identity. Returns the module."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                draw(parameter)
            elif name == 'bias':
                nn.init.zeros_(parameter)
    return module
