"""Communication between the processes of a run."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from experiments.training.errors import RunError
from models.storage.files import WriteError, write_error


def gather(fabric: Fabric, value: Any) -> list[Any]:
    """The picklable value of each process, in the order of their ranks. Collective: every process has to call it."""
    if fabric.world_size == 1:
        return [value]
    values = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def run_on_first(fabric: Fabric, work: Callable[[], None], folder: Path, status: Callable[[], str]) -> None:
    """Call `work` in the first process only. Collective: every process has to call it.

    Args:
        fabric: the launched processes.
        work: the function to call.
        folder: the run folder, named in the message of an OSError.
        status: returns the state of the checkpoints for that message.

    Raises:
        RunError: in every process, where `work` raised RunError or OSError in the first one.
    """
    failure = None
    if fabric.is_global_zero:
        try:
            work()
        except RunError as error:
            failure = error
        except OSError as error:
            reason = error if isinstance(error, WriteError) else write_error(folder, error)
            failure = RunError(f'{reason}; then resume: {status()}')
    message = gather(fabric, failure and str(failure))[0]
    if message:
        raise RunError(message) from failure
