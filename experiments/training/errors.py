"""What a run reports in one sentence instead of a traceback."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class RunError(Exception):
    """Something that the person who started the run can act on; the message is a whole sentence that says how."""


class Interrupted(RunError):
    """The run was asked to stop by a signal and has saved itself; `signal` is the signal's number."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal


class OutOfMemory(RunError):
    """A device, or the machine, has too little memory; of several processes perhaps not the first one meets it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of a GPU, of MPS or of the CPU's allocator was not enough. Only CUDA has a type of its own for that."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = 'out of memory', "can't allocate memory", '_STATUS_ALLOC_FAILED'
    return isinstance(error, RuntimeError) and any(part in str(error) for part in words)


@contextmanager
def explain_out_of_memory(advice: Callable[[], str]) -> Iterator[None]:
    """Inside, OutOfMemory where memory runs out, which says what to set."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f'the memory was not enough: {advice()}') from error
