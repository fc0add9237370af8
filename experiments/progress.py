"""How far a run is: a live bar on a terminal, a line now and then elsewhere."""
import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

QUIET_SECONDS = 10.0  # between two lines where there is no terminal


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}'


class ProgressBar:
    """Shows steps, time left, images per second and the losses; silent where `visible` is False."""

    def __init__(self, start: int, steps: int, visible: bool):
        self.start, self.steps, self.visible = start, steps, visible
        self._began = time.monotonic()
        self._said = -float('inf')
        self._live = None
        if visible and sys.stderr.isatty():
            self._bar = Progress(BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[left]}'))
            self._task = self._bar.add_task('train', total=steps, completed=start, left='')
            self._words = Text()
            self._live = Live(Group(self._bar, self._words), console=Console(stderr=True))
            self._live.start()

    def step(self, step: int) -> None:
        """Move the bar."""
        if self._live:
            self._bar.update(self._task, completed=step, left=self._left(step))

    def show(self, step: int, losses: dict[str, float], speed: float) -> None:
        """Say the losses; speed in images per second."""
        words = '  '.join([f'{speed:.1f} images/s', *(f'{name} {value:.4g}' for name, value in losses.items())])
        if self._live:
            self._words.plain = words
        elif time.monotonic() - self._said > QUIET_SECONDS or step == self.steps:
            self._said = time.monotonic()
            self.print(f'step {step}/{self.steps}  {self._left(step)}  {words}')

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        if self._live:
            self._live.console.print(line, highlight=False, markup=False)
        elif self.visible:
            print(line, file=sys.stderr, flush=True)

    def _left(self, step: int) -> str:
        done = step - self.start
        return f'{_clock((time.monotonic() - self._began) / done * (self.steps - step))} left' if done else ''

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._live:
            self._live.stop()
