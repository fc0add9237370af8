"""Commands that are killed at a chosen line of the suite and run again."""
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import torch

ROOT = Path(__file__).resolve().parent.parent
_TRACED = tuple(str(ROOT / path) for path in ('datasets', 'experiments', 'models/storage/files.py'))
TAIL_LINES = 60  # last lines, in which files get their final names and from which a third of the kills are sampled


def _run_traced(work: Callable[[], object], kill_at: int | None, pipe: int) -> None:
    """Call `work` in this process, with SIGKILL before line number `kill_at`; write the number of executed lines to `pipe`."""
    executed = 0

    def on_line(frame: FrameType, event: str, argument: object):
        nonlocal executed
        if event == 'line':
            executed += 1
            if executed == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return on_line

    torch.set_num_threads(1)
    sys.settrace(lambda frame, event, argument: on_line if frame.f_code.co_filename.startswith(_TRACED) else None)
    work()
    sys.settrace(None)
    os.write(pipe, str(executed).encode())


def run(work: Callable[[], object], kill_at: int | None = None) -> int | None:
    """Call `work` in a forked process; returns the number of executed lines, None where it failed or was killed at `kill_at`."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            _run_traced(work, kill_at, write_end)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        report = pipe.read()
    os.waitpid(process, 0)
    return int(report) if report else None


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder: relative path -> bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def check(work: Callable[[Path], object], folder: Path, begin: Callable[[Path], object] = lambda out: None,
          num_kills: int = 6) -> None:
    """Assert that `work` on a folder, killed once and run again, writes the same files as an uninterrupted run.

    Args:
        work: called with the folder to fill.
        folder: scratch folder.
        begin: prepares each folder.
        num_kills: number of kills, at seeded lines.
    """
    uninterrupted = folder / 'uninterrupted'
    begin(uninterrupted)
    lines = run(lambda: work(uninterrupted))
    assert lines, 'the uninterrupted work failed'
    expected, rng = contents(uninterrupted), random.Random(lines)
    for number in range(num_kills):
        kill_at = rng.randint(max(1, lines - TAIL_LINES), lines) if number % 3 == 0 else rng.randint(1, lines)
        out = folder / f'killed-{number}'
        begin(out)
        assert run(partial(work, out), kill_at) is None
        assert run(partial(work, out)), f'the work failed after a kill at line {kill_at} of {lines}'
        files = contents(out)
        assert files.keys() == expected.keys(), f'killed at line {kill_at} of {lines}'
        assert files == expected, f'killed at line {kill_at} of {lines}'
