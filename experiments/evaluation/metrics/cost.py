"""What a model costs: parameters, operations, seconds, memory."""
import resource
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def parameters(module: nn.Module) -> int:
    """Numbers that are learned or were."""
    return sum(value.numel() for value in module.parameters())


class _Operations(TorchDispatchMode):
    """Adds up what PyTorch's flop_registry says of each operation. FlopCounterMode, which also tells the modules apart, cannot be
    used around torch.autograd.grad, which guided sampling calls."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.total += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def gigaflop(work: Callable[[], object]) -> float:
    """10^9 floating point operations of matrix products, convolutions and attention in one call; a multiplication with its
    addition counts as two."""
    with _Operations() as counter:
        work()
    return counter.total / 1e9


def timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What a call returns, and its seconds; a GPU is waited for."""
    began = time.perf_counter()
    result = work()
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
    return result, time.perf_counter() - began


def peak_megabytes(device: torch.device) -> float:
    """Most memory held so far: on a GPU by this process's tensors, elsewhere by the whole process."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2 ** 20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2 ** 20 if sys.platform == 'darwin' else 2 ** 10)
