"""Ctrl-C and SIGTERM as a wish that the loop grants between two steps."""
import signal
import threading


class Interruption:
    """Inside the context the first SIGINT or SIGTERM is only noted in `signal`; a second one acts as usual."""

    def __init__(self):
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def _note(self, number: int, frame) -> None:
        self.signal = number
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __enter__(self) -> 'Interruption':
        if threading.current_thread() is threading.main_thread():  # python allows handlers nowhere else
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception) -> None:
        self._give_back()
