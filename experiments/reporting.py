"""Progress and messages of pipelines over files on a terminal."""
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.progress import ProgressBar
from models.pipelines.report import Progress


class ConsoleReport:
    """models.pipelines.report.Report that prints output files to stdout, messages and progress to stderr."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def written(self, path: Path) -> None:
        print(path)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        bar: ProgressBar | None = None
        start, start_time = 0, 0.0

        def update(done: int, count: int | None) -> None:
            nonlocal bar, start, start_time
            if bar is None:
                bar, start, start_time = ProgressBar(done, count or done, True), done, time.monotonic()
            bar.steps = max(bar.steps, done)
            bar.step(done)
            if done > start:
                bar.show(done, {}, (done - start) / (time.monotonic() - start_time))

        try:
            yield update
        finally:
            if bar is not None:
                bar.close()
