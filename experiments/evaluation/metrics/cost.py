"""Cost of a model: parameters, floating point operations, seconds, memory."""
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def parameters(module: nn.Module) -> int:
    """Number of parameters, frozen ones included."""
    return sum(value.numel() for value in module.parameters())


class _Operations(TorchDispatchMode):
    """Sum of torch.utils.flop_counter.flop_registry over all dispatched operations. FlopCounterMode also attributes them to
    modules, but fails around torch.autograd.grad, which guided sampling calls."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.total += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def gigaflop(work: Callable[[], object]) -> float:
    """Floating point operations of one call in GFLOP (10^9), of matrix products, convolutions and attention. A multiply-add
    counts as two operations."""
    with _Operations() as counter:
        work()
    return counter.total / 1e9


def timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Result of a call and its wall-clock time in seconds, after synchronization on a CUDA device."""
    start = time.perf_counter()
    result = work()
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
    return result, time.perf_counter() - start


def peak_megabytes(device: torch.device) -> float:
    """Peak memory of this process in MiB: allocated tensors on a CUDA device, else the resident set size."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2 ** 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2 ** 20 if sys.platform == 'darwin' else 2 ** 10)
