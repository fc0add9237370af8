"""Progress of a run: a live bar on a terminal, occasional lines elsewhere."""
import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

MIN_LINE_INTERVAL_S = 10.0  # seconds between two lines where stderr is no terminal


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}'


class ProgressBar:
    """Finished steps, remaining time, throughput and losses, on stderr.

    Args:
        start: finished steps at the beginning.
        steps: total number of steps.
        visible: whether anything is printed.
    """

    def __init__(self, start: int, steps: int, visible: bool):
        self.start, self.steps, self.visible = start, steps, visible
        self._start_time = time.monotonic()
        self._last_line_time = -float('inf')
        self._live: Live | None = None
        if visible and sys.stderr.isatty():
            self._bar = Progress(BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[left]}'))
            self._task = self._bar.add_task('train', total=steps, completed=start, left='')
            self._status = Text()
            self._live = Live(Group(self._bar, self._status), console=Console(stderr=True))
            self._live.start()

    def step(self, step: int) -> None:
        """Move the bar to `step` finished steps."""
        if self._live:
            self._bar.update(self._task, completed=step, left=self._time_left(step))

    def show(self, step: int, losses: dict[str, float], images_per_second: float) -> None:
        """Show throughput and losses below the bar, or as a line."""
        status = '  '.join([f'{images_per_second:.1f} images/s', *(f'{name} {value:.4g}' for name, value in losses.items())])
        if self._live:
            self._status.plain = status
        elif time.monotonic() - self._last_line_time > MIN_LINE_INTERVAL_S or step == self.steps:
            self._last_line_time = time.monotonic()
            self.print(f'step {step}/{self.steps}  {self._time_left(step)}  {status}')

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        if self._live:
            self._live.console.print(line, highlight=False, markup=False)
        elif self.visible:
            print(line, file=sys.stderr, flush=True)

    def _time_left(self, step: int) -> str:
        finished = step - self.start
        seconds = (time.monotonic() - self._start_time) / finished * (self.steps - step) if finished else 0
        return f'{_clock(seconds)} left' if finished else ''

    def close(self) -> None:
        """Stop the live display."""
        if self._live:
            self._live.stop()
