"""Interface between a pipeline over files and the display of its progress and messages."""
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

Progress = Callable[[int, int | None], None]  # number of finished items; number of all items, None if unknown


class Report(Protocol):
    """Receives messages, output files and progress. experiments.reporting.ConsoleReport prints them."""

    def message(self, text: str) -> None:
        """A line for the user: a note, an error that does not end the run, or a summary."""

    def written(self, path: Path) -> None:
        """An output file that is complete."""

    def progress(self) -> AbstractContextManager[Progress]:
        """Context of one task. Its callback is called first with the number of items that are finished at the start."""


class SilentReport:
    """A Report that discards everything."""

    def message(self, text: str) -> None:
        pass

    def written(self, path: Path) -> None:
        pass

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        yield lambda done, count: None
