"""Long-running tasks with intermediate results, cancellation and error messages."""
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import gradio as gr

from experiments.training.errors import RunError, explain_out_of_memory
from models.weights import WeightsError

NETWORKS = 'networks'  # concurrency group of the events that run networks
PROGRESS = gr.Progress()  # as a default argument, replaced by Gradio with the progress of the event
T, R = TypeVar('T'), TypeVar('R')


class _Stopped(Exception):
    """The task was canceled."""


@contextmanager
def sentences():
    """Convert errors of the suite into messages of the page."""
    try:
        with explain_out_of_memory(lambda: 'take a smaller image, or start the page with --device cpu'):
            yield
    except (ValueError, WeightsError, RunError) as error:
        raise gr.Error(_capital(str(error)), duration=20, print_exception=False) from error


def apart(work: Callable[[Callable[[T], None]], R]) -> Iterator[tuple[T | None, R | None]]:
    """Run work(tell) in a thread and yield (update, None) for the calls tell(update), then (None, result).

    Only the latest update is yielded if several are pending. Closing the iterator stops the work at its next call of tell.
    Exceptions of the work are raised from the iterator.
    """
    updates: queue.SimpleQueue = queue.SimpleQueue()
    canceled = threading.Event()

    def tell(update: T) -> None:
        if canceled.is_set():
            raise _Stopped
        updates.put((update, None, None))

    def run() -> None:
        try:
            updates.put((None, work(tell), None))
        except _Stopped:
            pass
        except Exception as error:  # raised in the consumer
            updates.put((None, None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            update, result, error = updates.get()
            while update is not None and not updates.empty():  # skip outdated updates
                update, result, error = updates.get()
            if error is not None:
                raise error
            yield update, result
            if update is None:
                return
    finally:
        canceled.set()
        thread.join()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
