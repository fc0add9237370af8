"""Long-running tasks with intermediate results, cancellation and error messages."""
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import gradio as gr

from experiments.training.errors import RunError, explain_out_of_memory
from models.weights import WeightsError

NETWORK_QUEUE = 'networks'  # concurrency_id of the events that run networks, of which one runs at a time
PROGRESS = gr.Progress()  # as a default argument, replaced by Gradio with the progress of the event
_MESSAGE_S = 20  # seconds that an error message is shown
T = TypeVar('T')
R = TypeVar('R')


@dataclass(frozen=True)
class Update(Generic[T]):
    """An intermediate result of a task."""

    value: T


@dataclass(frozen=True)
class Result(Generic[R]):
    """The return value of a task."""

    value: R


class _Canceled(Exception):
    """The task was canceled."""


@contextmanager
def user_messages() -> Iterator[None]:
    """Convert errors of the suite into messages of the page."""
    try:
        with explain_out_of_memory(lambda: 'take a smaller image, or start the page with --device cpu'):
            yield
    except (ValueError, WeightsError, RunError) as error:
        text = str(error)
        raise gr.Error(text[:1].upper() + text[1:], duration=_MESSAGE_S, print_exception=False) from error


def run_in_thread(work: Callable[[Callable[[T], None]], R]) -> Iterator[Update[T] | Result[R]]:
    """Run work(report) in a thread and yield an Update for each call report(value), then the Result.

    Only the latest update is yielded if several are pending. Closing the iterator cancels the work at its next call of report.
    Exceptions of the work are raised from the iterator.
    """
    events: queue.SimpleQueue[Update[T] | Result[R] | Exception] = queue.SimpleQueue()
    canceled = threading.Event()

    def report(value: T) -> None:
        if canceled.is_set():
            raise _Canceled
        events.put(Update(value))

    def run() -> None:
        try:
            events.put(Result(work(report)))
        except _Canceled:
            pass
        except Exception as error:  # raised in the consumer
            events.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            event = events.get()
            while isinstance(event, Update) and not events.empty():  # skip outdated updates
                event = events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Result):
                return
    finally:
        canceled.set()
        thread.join()
