"""Work that takes long: it can be stopped, shows what it has so far, and what goes wrong in it becomes a sentence."""
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import gradio as gr

from experiments.training.errors import RunError, memory_explained
from models.weights import WeightsError

NETWORKS = 'networks'  # what runs networks waits in one queue
PROGRESS = gr.Progress()  # as a default, Gradio puts an event's own in its place
T, R = TypeVar('T'), TypeVar('R')


class _Stopped(Exception):
    """Nobody waits for the result any more."""


@contextmanager
def sentences():
    """What the suite says of bad input, as the page says it."""
    try:
        with memory_explained(lambda: 'take a smaller image, or start the page with --device cpu'):
            yield
    except (ValueError, WeightsError, RunError) as error:
        raise gr.Error(_capital(str(error)), duration=20, print_exception=False) from error


def apart(work: Callable[[Callable[[T], None]], R]) -> Iterator[tuple[T | None, R | None]]:
    """Run work(tell) in a thread: (what it told, None) as often as there is time to take it, then (None, its result). Closing the
    iterator stops the work where it next tells something."""
    told: queue.SimpleQueue = queue.SimpleQueue()
    left = threading.Event()

    def tell(what: T) -> None:
        if left.is_set():
            raise _Stopped
        told.put((what, None, None))

    def run() -> None:
        try:
            told.put((None, work(tell), None))
        except _Stopped:
            pass
        except Exception as error:  # raised again where somebody waits for it
            told.put((None, None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            what, result, error = told.get()
            while what is not None and not told.empty():  # what nobody had time to look at is passed over
                what, result, error = told.get()
            if error is not None:
                raise error
            yield what, result
            if what is None:
                return
    finally:
        left.set()
        thread.join()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
