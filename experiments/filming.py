"""Films, folders of films and cameras through a video engine: progress, interruption, and a report at the end."""
import sys
import time
from pathlib import Path

from experiments.interruption import Interruption
from experiments.progress import Gauge
from models.pipelines.camera import Camera, Recording, VirtualCamera, Window
from models.pipelines.clip import ENDINGS
from models.pipelines.provenance import Making
from models.pipelines.video import Report, VideoEngine

_CAMERA = 'camera'


def moving(target: str | Path) -> bool:
    """Whether the target is a film by its name, a folder with films in it, or a camera."""
    return camera_name(target) is not None or bool(_films(Path(target)))


def camera_name(target: str | Path) -> str | None:
    """What `camera` or `camera:NAME` means to models.pipelines.camera.Camera."""
    kind, _, name = str(target).partition(':')
    return (name or '0') if kind == _CAMERA and not Path(target).exists() else None


def _films(target: Path) -> list[Path]:
    if target.is_dir():
        return sorted(path for path in target.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    return [target] if target.suffix.lower() in ENDINGS else []


def film(engine: VideoEngine, target: str | Path, output: Path | None, *, making: Making | None = None,
         settings: dict | None = None, overwrite: bool = False) -> bool:
    """Send a film, each film of a folder, or a camera through the engine; False where that was interrupted.

    output: an MP4; for a folder of films a folder, where films that are there already stay unless `overwrite`; for a camera an
    MP4, a virtual camera (/dev/video...), or None for a window. making, settings as VideoEngine.convert.
    """
    with Interruption() as wish:
        name = camera_name(target)
        if name is not None:
            return _camera(engine, name, output, making, wish)
        films = _films(Path(target))
        for path in films:
            goal = output / f'{path.stem}.mp4' if Path(target).is_dir() else output
            if goal.exists() and goal.resolve() == path.resolve():
                raise ValueError(f'{goal} is the film itself; give another name as -o')
            if len(films) > 1 and goal.exists() and not overwrite:
                print(f'{goal} is there already', file=sys.stderr)
                continue
            report = _one(engine, path, goal, making, settings, wish)
            if not report.done:
                print(f'{report.kept + report.frames} frames were made; the same command goes on after those that are in '
                      f'{goal}.parts', file=sys.stderr)
                return False
            print(goal)
    return True


def _one(engine: VideoEngine, path: Path, goal: Path, making: Making | None, settings: dict | None, wish: Interruption) -> Report:
    gauge, begun = None, None

    def progress(done: int, count: int | None) -> None:
        nonlocal gauge, begun
        if gauge is None:
            gauge, begun = Gauge(done, count or done, True), (done, time.monotonic())
        gauge.steps = max(gauge.steps, done)
        gauge.step(done)
        if done > begun[0]:
            gauge.show(done, {}, (done - begun[0]) / (time.monotonic() - begun[1]))

    try:
        report = engine.convert(path, goal, making=making, settings=settings, progress=progress,
                                stop=lambda: wish.signal is not None)
    finally:
        if gauge is not None:
            gauge.close()
    _say(report)
    return report


def _camera(engine: VideoEngine, name: str, output: Path | None, making: Making | None, wish: Interruption) -> bool:
    camera = Camera(name)
    if output is None:
        sink = Window()
    elif output.suffix.lower() == '.mp4':
        sink = Recording(output, camera.rate, making)
    else:
        sink = VirtualCamera(output, camera.rate)
    try:
        report = engine.live(camera, lambda seconds, picture: sink(seconds, picture) and wish.signal is None)
    finally:
        camera.close()
        sink.close()
    _say(report)
    print(f'{camera.dropped} frames of the camera came too fast', file=sys.stderr)
    if output is not None:
        print(output)
    return True


def _say(report: Report) -> None:
    for note in report.notes:
        print(f'note: {note}', file=sys.stderr)
    if report.done:
        print(report.sentence(), file=sys.stderr)
        if report.frames and not report.faces:
            print('note: none of its faces was meant, or none was found: its pictures are as they were', file=sys.stderr)
