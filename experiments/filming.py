"""Videos, folders of videos and cameras through a video engine: progress, interruption, and a report at the end."""
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from datasets.faces import images_in
from experiments.photos import PHOTO_SUFFIXES
from experiments.progress import ProgressBar
from experiments.training.interruption import Interruption
from models import weights
from models.perception.build import file_of
from models.pipelines.io.images import FORMATS
from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.video.camera import Camera, Recording, VirtualCamera, Window
from models.pipelines.video.clip import VIDEO_SUFFIXES, is_animated
from models.pipelines.video.engine import ConversionReport, VideoEngine
from models.pipelines.video.segments import segments_folder
from models.storage.files import WriteError, check_writable

_CAMERA = 'camera'


def moving(target: str | Path, output: Path | None = None) -> bool:
    """Whether the target is a video by its name, a folder of videos, or a camera. An animated image is a video unless `output`
    names an image, and in a folder only where that holds no other images."""
    if camera_name(target) is not None:
        return True
    image = output is not None and output.suffix.lower() in FORMATS
    return bool(videos_in(Path(target))) and not (image and is_animated(target))


def camera_name(target: str | Path) -> str | None:
    """What `camera` or `camera:NAME` means to models.pipelines.video.camera.Camera."""
    kind, _, name = str(target).partition(':')
    return (name or '0') if kind == _CAMERA and not os.path.exists(target) else None


def videos_in(target: Path) -> list[Path]:
    """The target where it is a video, or the videos of a folder. Animated images of a folder count where it holds videos, or no
    other images."""
    if not os.path.isdir(target):
        return [target] if target.suffix.lower() in VIDEO_SUFFIXES or is_animated(target) else []
    videos = [path for path in target.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    if not videos and not all(is_animated(target / name) for name in images_in(target, suffixes=PHOTO_SUFFIXES)):
        return []
    return sorted(videos + [path for path in target.iterdir() if is_animated(path)])


def _outputs(target: Path, output: Path) -> dict[Path, Path]:
    """Video -> its MP4: for a video `output`, for those of a folder STEM.mp4 in `output`, or NAME.mp4 where another one has that
    stem."""
    videos = videos_in(target)
    if not os.path.isdir(target):
        return {videos[0]: output}
    names = {path: path.stem for path in videos}
    while True:
        uses = Counter(name.casefold() for name in names.values())
        clashing = [path for path in videos if names[path] != path.name and uses[names[path].casefold()] > 1]
        if not clashing:
            return {path: output / f'{name}.mp4' for path, name in names.items()}
        names |= {path: path.name for path in clashing}


def network_digests(*networks: str) -> dict[str, str]:
    """Name in models.weights or file of each network -> sha256, for the `settings` of `video`."""
    return {name: weights.digest(file_of(name) if name in weights.TABLE else Path(name)) for name in networks}


def check_video_output(target: str | Path, output: Path | None) -> None:
    """Raise what writing the output of `video` would end in, as far as it can be known before: WriteError, or ValueError where a
    video would be written over or the name is none of an MP4."""
    if camera_name(target) is not None:
        if output is not None and output.suffix.lower() == '.mp4':
            check_writable(output)
        return
    outputs = _outputs(Path(target), output)
    if not os.path.exists(target):
        raise ValueError(f'{target} is no file; give a video (MP4, MOV, MKV, WebM, ...)')
    inputs = {(path.stat().st_dev, path.stat().st_ino) for path in outputs}
    for goal in outputs.values():
        if goal.suffix.lower() != '.mp4':
            raise ValueError(f'{goal} does not end in .mp4, which is what videos are written as')
        if os.path.exists(goal) and (goal.stat().st_dev, goal.stat().st_ino) in inputs:
            raise ValueError(f'{goal} is one of the videos to convert; give another -o')
    check_writable(max(outputs.values(), key=lambda goal: len(os.fsencode(goal.name))))


def video(engine: VideoEngine, target: str | Path, output: Path | None, *, generation_info: GenerationInfo | None = None,
         settings: dict | None = None, overwrite: bool = False) -> bool:
    """Send a video, each video of a folder, or a camera through the engine; False where that was interrupted.

    output: an MP4; for a folder of videos a folder, where videos that are there already stay unless `overwrite`; for a camera an
    MP4, a virtual camera (/dev/video...), or None for a window. generation_info, settings as VideoEngine.convert. ValueError, one
    sentence; a video of a folder that cannot be converted is reported and passed over first.
    """
    check_video_output(target, output)
    with Interruption() as wish:
        name = camera_name(target)
        if name is not None:
            return _camera(engine, name, output, generation_info, wish)
        outputs, failed = _outputs(Path(target), output), 0
        for path, goal in outputs.items():
            if os.path.isdir(target) and goal.exists() and not overwrite:
                print(f'{goal} is there already', file=sys.stderr)
                continue
            try:
                report = _one(engine, path, goal, generation_info, settings, wish)
            except WriteError:  # the next one could not be written either
                raise
            except ValueError as error:
                if len(outputs) == 1:
                    raise
                failed += 1
                print(error, file=sys.stderr)
                continue
            if not report.completed:
                print(f'{report.resumed_frames + report.frames} frames were made; the same command goes on after those that are '
                      f'in {segments_folder(goal)}', file=sys.stderr)
                return False
            print(goal)
        if failed:
            raise ValueError(f'{failed} of {len(outputs)} videos could not be converted; why stands above')
    return True


def _one(engine: VideoEngine, path: Path, goal: Path, generation_info: GenerationInfo | None, settings: dict | None,
         wish: Interruption) -> ConversionReport:
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
        report = engine.convert(path, goal, generation_info=generation_info, settings=settings, progress=progress,
                                stop=lambda: wish.signal is not None)
    finally:
        if progress_bar is not None:
            progress_bar.close()
    _say(report)
    return report


def _camera(engine: VideoEngine, name: str, output: Path | None, generation_info: GenerationInfo | None,
            wish: Interruption) -> bool:
    camera = Camera(name)
    if output is None:
        sink = Window()
    elif output.suffix.lower() == '.mp4':
        sink = Recording(output, camera.rate, generation_info)
    else:
        sink = VirtualCamera(output, camera.rate)
    try:
        report = engine.live(camera, lambda seconds, image: sink(seconds, image) and wish.signal is None)
    except BaseException:
        with suppress(ValueError):  # the first error is the one to report
            sink.close()
        raise
    finally:
        camera.close()
    sink.close()
    _say(report)
    print(f'{camera.dropped} frames of the camera came too fast', file=sys.stderr)
    if output is not None:
        print(output)
    return True


def _say(report: ConversionReport) -> None:
    for note in report.notes:
        print(f'note: {note}', file=sys.stderr)
    if report.completed:
        print(report.summary(), file=sys.stderr)
        if report.frames and not report.faces:
            print('note: none of its faces was meant, or none was found: its images are as they were', file=sys.stderr)
