"""Processing stages of a video in threads, with timers and a report."""
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

STAGES = ('decoding', 'detection', 'generation', 'blending', 'encoding')


@dataclass
class StageTimer:
    """Time of a stage, measured as a context manager.

    Attributes:
        busy: elapsed seconds.
        cpu: processor seconds of the stage's own thread.
    """

    busy: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> 'StageTimer':
        self._start = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *exception: object) -> None:
        self.busy += time.perf_counter() - self._start[0]
        self.cpu += time.thread_time() - self._start[1]


@dataclass
class ConversionReport:
    """Result of a conversion.

    Attributes:
        frames, faces: number of frames, and of faces in them, that this call generated.
        resumed_frames: number of frames of an earlier call.
        seconds: elapsed.
        cpu: processor seconds of the process.
        completed: False if the conversion was stopped.
        notes: sentences for the user.
        stages: name -> timer.
    """

    frames: int = 0
    faces: int = 0
    resumed_frames: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    completed: bool = True
    notes: list[str] = field(default_factory=list)
    stages: dict[str, StageTimer] = field(default_factory=lambda: {name: StageTimer() for name in STAGES})

    def summary(self) -> str:
        """A sentence with the speed and the slowest stage."""
        if not self.frames:
            return 'no frame was generated'
        name, slowest = max(self.stages.items(), key=lambda item: item[1].busy)
        parts = ', '.join(f'{stage} {1000 * timer.cpu / self.frames:.1f}' for stage, timer in self.stages.items())
        speed = f'{self.frames} frames with {self.faces} faces in {self.seconds:.1f} s: {self.frames / self.seconds:.1f} frames/s'
        return (f'{speed}; the slowest stage is {name}, busy {100 * slowest.busy / self.seconds:.0f} % of the time; processor '
                f'time per frame {1000 * self.cpu / self.frames:.0f} ms, of which {parts}')


class _Failure(Exception):
    """Carries the error of a stage through the later stages."""


def run_stages(source: Iterable[Any], stages: list[tuple[Callable[[Any], Any], StageTimer]],
               timer: StageTimer) -> Generator[Any, None, None]:
    """Yield the items of `source` after all stages, in order, with source and stages in a thread each.

    At most len(stages) + 2 items exist at a time, one of them with the caller, since chunks of large videos take 100 MB. At most
    one item waits before each stage. An error of any thread is raised here; closing the generator ends all threads.

    Args:
        source: of the items, none of which is None.
        stages: functions item -> item and their timers.
        timer: of the source.
    """
    stop, slots = threading.Event(), threading.Semaphore(len(stages) + 2)

    def put(pipe: queue.Queue, item: Any) -> None:
        while not stop.is_set():
            try:
                pipe.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def get(pipe: queue.Queue) -> Any:
        while not stop.is_set():
            try:
                return pipe.get(timeout=0.1)
            except queue.Empty:
                continue
        return None

    def run_source(pipe: queue.Queue) -> None:
        items = iter(source)
        try:
            while not stop.is_set():
                if not slots.acquire(timeout=0.1):
                    continue
                with timer:
                    item = next(items, None)
                put(pipe, item)
                if item is None:
                    return
        except Exception as error:
            put(pipe, _Failure(error))
        finally:
            getattr(items, 'close', lambda: None)()

    def run_stage(stage: Callable[[Any], Any], stage_timer: StageTimer, inputs: queue.Queue, outputs: queue.Queue) -> None:
        while (item := get(inputs)) is not None:
            if not isinstance(item, _Failure):
                try:
                    with stage_timer:
                        item = stage(item)
                except Exception as error:
                    item = _Failure(error)
            put(outputs, item)
        put(outputs, None)

    pipes: list[queue.Queue] = [queue.Queue(1) for _ in range(len(stages) + 1)]
    threads = [threading.Thread(target=run_source, args=(pipes[0],), daemon=True)]
    threads += [threading.Thread(target=run_stage, args=(*stage, inputs, outputs), daemon=True)
                for stage, inputs, outputs in zip(stages, pipes, pipes[1:])]
    for thread in threads:
        thread.start()
    try:
        while (item := pipes[-1].get()) is not None:
            if isinstance(item, _Failure):
                raise item.args[0]
            yield item
            del item
            slots.release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
