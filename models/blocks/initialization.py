"""Weight initialization."""
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

ModuleT = TypeVar('ModuleT', bound=nn.Module)


@torch.no_grad()
def initialize(module: ModuleT, init: Callable[[Tensor], Tensor]) -> ModuleT:
    """Initialize every matrix and kernel inside `module`, in place.

    Args:
        init: fills a tensor in place, such as partial(nn.init.normal_, std=0.02).

    Returns:
        The module. Biases of convolutions, linear layers and norms are 0, scales of norms stay 1.
    """
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                init(parameter)
            elif name == 'bias':
                nn.init.zeros_(parameter)
    return module
