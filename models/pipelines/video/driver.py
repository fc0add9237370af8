"""Conversion of videos, folders of videos and camera streams by a video engine."""
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models import weights
from models.perception.build import file_of
from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.report import Report, SilentReport
from models.pipelines.video.camera import Camera, Recording, VirtualCamera, Window
from models.pipelines.video.engine import ConversionReport, VideoEngine
from models.pipelines.video.segments import segments_folder
from models.pipelines.video.targets import camera_name, check_video_output, video_outputs
from models.storage.files import WriteError


def network_digests(*networks: str) -> dict[str, str]:
    """sha256 of each network, given by a name of models.weights or a file; for VideoRun.settings."""
    return {name: weights.digest(file_of(name) if name in weights.TABLE else Path(name)) for name in networks}


@dataclass(frozen=True)
class VideoResult:
    """Result of a VideoRun.

    Attributes:
        finished: False after an interruption.
        error: error of a folder's videos, to be raised once the folder's photos are processed; None if all were converted.
    """

    finished: bool = True
    error: ValueError | None = None


@dataclass(frozen=True)
class VideoRun:
    """Converts a video, the videos of a folder, or a camera stream.

    Args:
        engine: the conversion of frames.
        info: Content Credentials of the outputs; None for none.
        settings: values that the frames depend on besides the video, as in VideoEngine.convert.
        overwrite: convert a folder's videos whose output exists.
        report: receives progress, notes and output files.
        stop: called between frames; True interrupts the run.
    """

    engine: VideoEngine
    info: GenerationInfo | None = None
    settings: dict | None = None
    overwrite: bool = False
    report: Report = SilentReport()
    stop: Callable[[], bool] = lambda: False

    def convert(self, target: str | Path, output: Path | None) -> VideoResult:
        """Convert a target.

        Args:
            target: as in models.pipelines.video.targets.is_video_target.
            output: an MP4; a folder for a folder of videos; an MP4, a virtual camera (/dev/video...) or None (a window) for a
                camera.

        Raises:
            ValueError: the target is not usable. Errors of single videos of a folder are reported instead.
            WriteError: an output cannot be written.
        """
        check_video_output(target, output)
        name = camera_name(target)
        if name is not None:
            self._camera(name, output)
            return VideoResult()
        assert output is not None  # or check_video_output has raised
        folder = os.path.isdir(target)
        outputs, errors = video_outputs(Path(target), output), []
        for video, path in outputs.items():
            if folder and path.exists() and not self.overwrite:
                self.report.message(f'{path} exists already')
                continue
            try:
                conversion = self._video(video, path)
            except WriteError:  # the next output could not be written either
                raise
            except ValueError as error:
                if not folder:
                    raise
                errors.append(error)
                if len(outputs) > 1:
                    self.report.message(str(error))
                continue
            if not conversion.completed:
                frames = conversion.resumed_frames + conversion.frames
                self.report.message(f'interrupted after {frames} frames; the same command resumes from {segments_folder(path)}')
                return VideoResult(finished=False)
            self.report.written(path)
        if len(errors) == len(outputs) == 1:
            return VideoResult(error=errors[0])
        failure = f'{len(errors)} of {len(outputs)} videos could not be converted; the reasons are printed above'
        return VideoResult(error=ValueError(failure) if errors else None)

    def _video(self, video: Path, output: Path) -> ConversionReport:
        with self.report.progress() as progress:
            conversion = self.engine.convert(video, output, generation_info=self.info, settings=self.settings, progress=progress,
                                             stop=self.stop)
        self._summarize(conversion)
        return conversion

    def _camera(self, name: str, output: Path | None) -> None:
        camera = Camera(name)
        sink: Window | Recording | VirtualCamera
        if output is None:
            sink = Window()
        elif output.suffix.lower() == '.mp4':
            sink = Recording(output, camera.rate, self.info)
        else:
            sink = VirtualCamera(output, camera.rate)
        try:
            conversion = self.engine.live(camera, lambda seconds, image: sink(seconds, image) and not self.stop())
        except BaseException:
            with suppress(ValueError):  # the first error is the one to report
                sink.close()
            raise
        finally:
            camera.close()
        sink.close()
        self._summarize(conversion)
        self.report.message(f'{camera.dropped} frames of the camera were dropped')
        if output is not None:
            self.report.written(output)

    def _summarize(self, conversion: ConversionReport) -> None:
        for note in conversion.notes:
            self.report.message(f'note: {note}')
        if conversion.completed:
            self.report.message(conversion.summary())
            if conversion.frames and not conversion.faces:
                self.report.message('note: no selected face was found; the frames are unchanged')
