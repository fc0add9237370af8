"""Targets of video conversion: which names are videos, folders of videos or cameras, and their output files."""
import os
from collections import Counter
from pathlib import Path

from models.image_io import PHOTO_SUFFIXES, list_images
from models.pipelines.io.images import FORMATS
from models.pipelines.video.clip import VIDEO_SUFFIXES, is_animated
from models.storage.files import check_writable

_CAMERA = 'camera'


def is_video_target(target: str | Path, output: Path | None = None) -> bool:
    """Whether a target is a video by its name, a folder of videos, or a camera.

    An animated image is a video unless `output` names an image, and in a folder only if that holds videos or no other images.
    """
    if camera_name(target) is not None:
        return True
    image_output = output is not None and output.suffix.lower() in FORMATS
    return bool(videos_in(Path(target))) and not (image_output and is_animated(target))


def camera_name(target: str | Path) -> str | None:
    """The name for models.pipelines.video.camera.Camera in `camera` or `camera:NAME`; None for any other target."""
    kind, _, name = str(target).partition(':')
    return (name or '0') if kind == _CAMERA and not os.path.exists(target) else None


def videos_in(target: Path) -> list[Path]:
    """The target if it is a video, or the videos of a folder. A folder's animated images count if it holds videos or no other
    images."""
    if not os.path.isdir(target):
        return [target] if target.suffix.lower() in VIDEO_SUFFIXES or is_animated(target) else []
    videos = [path for path in target.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    if not videos and not all(is_animated(target / name) for name in list_images(target, suffixes=PHOTO_SUFFIXES)):
        return []
    return sorted(videos + [path for path in target.iterdir() if is_animated(path)])


def video_outputs(target: Path, output: Path) -> dict[Path, Path]:
    """Video -> its MP4. A single video is written to `output`, a video of a folder to STEM.mp4 in the folder `output`, or to
    NAME.mp4 if several videos share the stem."""
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


def check_video_output(target: str | Path, output: Path | None) -> None:
    """Check the output of a conversion before the networks are loaded.

    Args:
        output: MP4, folder for a folder of videos, or None for the window of a camera.

    Raises:
        ValueError: the target does not exist, an output would replace a video, or its name does not end in .mp4.
        WriteError: an output is not writable.
    """
    if camera_name(target) is not None:
        if output is not None and output.suffix.lower() == '.mp4':
            check_writable(output)
        return
    if output is None:
        raise ValueError(f'{target} needs an output file or folder')
    outputs = video_outputs(Path(target), output)
    if not os.path.exists(target):
        raise ValueError(f'{target} is no file; give a video (MP4, MOV, MKV, WebM, ...)')
    inputs = {(path.stat().st_dev, path.stat().st_ino) for path in outputs}
    for path in outputs.values():
        if path.suffix.lower() != '.mp4':
            raise ValueError(f'{path} does not end in .mp4, the format in which videos are written')
        if os.path.exists(path) and (path.stat().st_dev, path.stat().st_ino) in inputs:
            raise ValueError(f'{path} is one of the videos to convert; give another -o')
    check_writable(max(outputs.values(), key=lambda path: len(os.fsencode(path.name))))
