"""Training as a command: errors on stderr and an exit code."""
import sys
from collections.abc import Callable

from experiments.training.engine import Engine
from experiments.training.errors import Interrupted, OutOfMemory, RunError


def complete(engine: Engine, script: str, finish: Callable[[], None]) -> int:
    """Train to the last step, then call `finish` in the first process.

    Args:
        engine: the engine to run.
        script: name that error messages begin with.
        finish: called once after training; its ValueError and OSError count as RunError.

    Returns:
        The exit code: 0, 1 after a RunError, 128 + signal after an interruption.
    """
    first = engine.fabric.is_global_zero
    try:
        engine.fit()
        if first:
            try:
                finish()
            except (ValueError, OSError) as error:
                raise RunError(str(error)) from error
    except RunError as error:
        if first or isinstance(error, OutOfMemory):
            print(f'{script}: {error}', file=sys.stderr)
        return 128 + error.signal if isinstance(error, Interrupted) else 1
    return 0
