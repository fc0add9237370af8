"""SIGINT and SIGTERM as a request that a loop reads between two steps."""
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """Context manager that stores the first SIGINT or SIGTERM in `signal` and restores the previous handlers, so that a second
    signal has its usual effect. Without effect outside of the main thread.

    Attributes:
        signal: number of the signal that arrived, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous_handlers: dict[int, Any] = {}

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def __enter__(self) -> 'Interruption':
        if threading.current_thread() is threading.main_thread():  # Python allows signal handlers in the main thread only
            self._previous_handlers = {number: signal.signal(number, self._record) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore_handlers()
