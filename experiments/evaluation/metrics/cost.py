"""What a model costs: parameters, operations, seconds, memory."""
import resource
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(module: nn.Module) -> int:
    """Numbers that are learned or were."""
    return sum(value.numel() for value in module.parameters())


def gigaflop(work: Callable[[], object]) -> float:
    """10^9 floating point operations of matrix products, convolutions and attention in one call; a multiplication with its
    addition counts as two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


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
