"""Videos, folders of videos and cameras through a video engine: progress, interruption, and a report at the end."""
import sys
import time
from pathlib import Path

from experiments.training.interruption import Interruption
from experiments.training.progress import ProgressBar
from models.pipelines.io.provenance import Making
from models.pipelines.video.camera import Camera, Recording, VirtualCamera, Window
from models.pipelines.video.clip import ENDINGS
from models.pipelines.video.engine import Report, VideoEngine

_CAMERA = 'camera'


def moving(target: str | Path) -> bool:
    """Whether the target is a video by its name, a folder with videos in it, or a camera."""
    return camera_name(target) is not None or bool(_videos(Path(target)))


def camera_name(target: str | Path) -> str | None:
    """What `camera` or `camera:NAME` means to models.pipelines.video.camera.Camera."""
    kind, _, name = str(target).partition(':')
    return (name or '0') if kind == _CAMERA and not Path(target).exists() else None


def _videos(target: Path) -> list[Path]:
    if target.is_dir():
        return sorted(path for path in target.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    return [target] if target.suffix.lower() in ENDINGS else []


def video(engine: VideoEngine, target: str | Path, output: Path | None, *, making: Making | None = None,
         settings: dict | None = None, overwrite: bool = False) -> bool:
    """Send a video, each video of a folder, or a camera through the engine; False where that was interrupted.

    output: an MP4; for a folder of videos a folder, where videos that are there already stay unless `overwrite`; for a camera an
    MP4, a virtual camera (/dev/video...), or None for a window. making, settings as VideoEngine.convert.
    """
    with Interruption() as wish:
        name = camera_name(target)
        if name is not None:
            return _camera(engine, name, output, making, wish)
        videos = _videos(Path(target))
        for path in videos:
            goal = output / f'{path.stem}.mp4' if Path(target).is_dir() else output
            if goal.exists() and goal.resolve() == path.resolve():
                raise ValueError(f'{goal} is the video itself; give another name as -o')
            if len(videos) > 1 and goal.exists() and not overwrite:
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
    progress_bar, begun = None, None

    def progress(done: int, count: int | None) -> None:
        nonlocal progress_bar, begun
        if progress_bar is None:
            progress_bar, begun = ProgressBar(done, count or done, True), (done, time.monotonic())
        progress_bar.steps = max(progress_bar.steps, done)
        progress_bar.step(done)
        if done > begun[0]:
            progress_bar.show(done, {}, (done - begun[0]) / (time.monotonic() - begun[1]))

    try:
        report = engine.convert(path, goal, making=making, settings=settings, progress=progress,
                                stop=lambda: wish.signal is not None)
    finally:
        if progress_bar is not None:
            progress_bar.close()
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
        report = engine.live(camera, lambda seconds, image: sink(seconds, image) and wish.signal is None)
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
            print('note: none of its faces was meant, or none was found: its images are as they were', file=sys.stderr)
