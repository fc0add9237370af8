"""Killing a command at chosen lines of the suite."""
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
_ROOMS = tuple(str(ROOT / room) for room in ('datasets', 'experiments', 'models/storage/files.py'))


def _child(work: Callable[[], object], last: int | None, tell: int) -> None:
    """Do the work in this process; SIGKILL before its line number `last`; the number of lines goes to the pipe `tell`."""
    seen = 0

    def line(frame, event, argument):
        nonlocal seen
        if event == 'line':
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    torch.set_num_threads(1)
    sys.settrace(lambda frame, event, argument: line if frame.f_code.co_filename.startswith(_ROOMS) else None)
    work()
    sys.settrace(None)
    os.write(tell, str(seen).encode())


def run(work: Callable[[], object], last: int | None = None) -> int | None:
    """The number of executed lines of the suite, or None where the work was killed before the line `last`."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            _child(work, last, write)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(process, 0)
    return int(said) if said else None


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def check(work: Callable[[Path], object], folder: Path, begin: Callable[[Path], object] = lambda out: None,
          points: int = 6) -> None:
    """Assert that `work` on a folder, killed at seeded lines and then done again, gives the same files as undisturbed. begin:
    prepares the folder. A third of the lines are among the last sixty, where files get their names."""
    whole = folder / 'whole'
    begin(whole)
    lines = run(lambda: work(whole))
    assert lines, 'the undisturbed work failed'
    expected, draw = contents(whole), random.Random(lines)
    for number in range(points):
        last = draw.randint(max(1, lines - 60), lines) if number % 3 == 0 else draw.randint(1, lines)
        out = folder / f'killed-{number}'
        begin(out)
        assert run(partial(work, out), last) is None
        assert run(partial(work, out)), f'the work failed after a kill at line {last} of {lines}'
        found = contents(out)
        assert found.keys() == expected.keys(), f'killed at line {last} of {lines}'
        assert found == expected, f'killed at line {last} of {lines}'
