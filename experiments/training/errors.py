"""Errors of a run that are reported as one sentence."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class RunError(Exception):
    """A failure that the user of a run can correct. The message is one sentence with the remedy."""


class Interrupted(RunError):
    """A signal stopped the run after it saved a checkpoint.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal


class OutOfMemory(RunError):
    """A device or the machine has too little memory. Raised in the process that ran out of it, which may not be the first."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether CUDA, MPS, oneDNN or the CPU allocator ran out of memory. Only CUDA has an exception type for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    phrases = 'out of memory', "can't allocate memory", '_STATUS_ALLOC_FAILED'
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases)


@contextmanager
def explain_out_of_memory(advice: Callable[[], str]) -> Iterator[None]:
    """Context that converts out-of-memory errors to OutOfMemory. advice: returns the settings to change, as a clause."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f'the memory was not enough: {advice()}') from error
