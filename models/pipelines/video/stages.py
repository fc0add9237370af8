"""Stages of work in threads of their own, and the time that each takes."""
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass
class StageTimer:
    """Of one stage: seconds at work, and seconds of the processor in its own thread."""

    busy: float = 0.0
    cpu: float = 0.0

    def __enter__(self):
        self._start = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *exception):
        self.busy += time.perf_counter() - self._start[0]
        self.cpu += time.thread_time() - self._start[1]


class _Failure(Exception):
    """Carries the error of a stage to the end of the line."""


def flow(source: Iterable, works: list[tuple[Callable, StageTimer]], clock: StageTimer) -> Iterator:
    """What comes of the items of `source` when each of the works, which take and return one, does its part in its own thread.
    clock: of the source. One item with each stage and one with the caller exist at a time, as those of large videos take 100 MB.
    At most one waits before each stage. An error anywhere is raised here; closing ends all threads."""
    stop, room = threading.Event(), threading.Semaphore(len(works) + 2)

    def put(line: queue.Queue, item):
        while not stop.is_set():
            try:
                return line.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

    def get(line: queue.Queue):
        while not stop.is_set():
            try:
                return line.get(timeout=0.1)
            except queue.Empty:
                continue
        return None

    def feed(line: queue.Queue) -> None:
        items = iter(source)
        try:
            while not stop.is_set():
                if not room.acquire(timeout=0.1):
                    continue
                with clock:
                    item = next(items, None)
                put(line, item)
                if item is None:
                    return
        except Exception as error:
            put(line, _Failure(error))
        finally:
            getattr(items, 'close', lambda: None)()

    def serve(work: Callable, own: StageTimer, line: queue.Queue, after: queue.Queue) -> None:
        while (item := get(line)) is not None:
            if not isinstance(item, _Failure):
                try:
                    with own:
                        item = work(item)
                except Exception as error:
                    item = _Failure(error)
            put(after, item)
        put(after, None)

    lines = [queue.Queue(1) for _ in range(len(works) + 1)]
    threads = [threading.Thread(target=feed, args=(lines[0],), daemon=True)]
    threads += [threading.Thread(target=serve, args=(*work, before, after), daemon=True)
                for work, before, after in zip(works, lines, lines[1:])]
    for thread in threads:
        thread.start()
    try:
        while (item := lines[-1].get()) is not None:
            if isinstance(item, _Failure):
                raise item.args[0]
            yield item
            del item
            room.release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
