"""Cameras, and sinks of their processed frames: a window, a virtual camera and an MP4."""
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError

from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.video.clip import VideoFormat
from models.pipelines.video.mux import SegmentWriter, join_segments
from models.storage.files import check_writable, remove, temporary_path, write_errors

TITLE = 'face-swap-suite'  # of the window
_TIME_BASE = Fraction(1, 90_000)  # seconds per unit of the time stamps of a recording
_NO_CAMERA = 'no camera {} can be opened; give another number, camera:N, or a video file, camera:FILE'


class Camera:
    """The newest frames of a camera, until it is closed or a file ends.

    Iteration yields seconds since the start and frames (H,W,3) uint8 RGB; frames that arrive before the previous one is fetched
    replace it and are counted in `dropped`.

    Args:
        name: number of a camera, a device, an address, or a video file, which is played at its own rate.

    Raises:
        ValueError: it cannot be opened.
    """

    def __init__(self, name: str = '0'):
        self.capture = cv2.VideoCapture(int(name)) if name.isdecimal() else cv2.VideoCapture(name)
        if not self.capture.isOpened():
            raise ValueError(_NO_CAMERA.format(name))
        self.rate = self.capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.from_file = Path(name).is_file()
        self.dropped = 0
        self._newest: tuple[float, np.ndarray] | None = None
        self._condition, self._ended = threading.Condition(), False
        self._thread = threading.Thread(target=self._grab, daemon=True)
        self._thread.start()

    def _grab(self) -> None:
        start, number = time.monotonic(), 0
        while not self._ended:
            success, image = self.capture.read()
            if not success:
                break
            if self.from_file:
                number += 1
                time.sleep(max(0.0, start + number / self.rate - time.monotonic()))
            with self._condition:
                self.dropped += self._newest is not None
                self._newest = time.monotonic() - start, image
                self._condition.notify()
        with self._condition:
            self._ended = True
            self._condition.notify()

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._newest is not None or self._ended)
                newest, self._newest = self._newest, None
            if newest is None:
                return
            yield newest[0], cv2.cvtColor(newest[1], cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """End the thread and release the camera."""
        self._ended = True
        self._thread.join()
        self.capture.release()


class Window:
    """Sink that shows frames in a window until q or Escape is pressed or the window is closed. Raises ValueError without a
    display."""

    def __call__(self, seconds: float, image: np.ndarray) -> bool:
        """Show (H,W,3) uint8 RGB; returns whether to continue."""
        try:
            cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            key = cv2.waitKey(1) & 255
            return key not in (ord('q'), 27) and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error as error:
            raise ValueError('no window can be opened; name a video or a virtual camera (/dev/video10) by -o') from error

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


class VirtualCamera:
    """Sink that plays frames into a v4l2loopback device, which other programs read as a camera (Linux).

    Args:
        device: such as /dev/video10.
        rate: frames per second.

    Raises:
        ValueError: by a call, if the device does not accept frames.
    """

    def __init__(self, device: Path, rate: float):
        self.device, self.rate = device, rate
        self._output: tuple[Any, Any] | None = None  # container and stream

    def __call__(self, seconds: float, image: np.ndarray) -> bool:
        """Play (H,W,3) uint8 RGB; returns True."""
        try:
            if self._output is None:
                container = av.open(str(self.device), 'w', format='v4l2')
                stream = container.add_stream('rawvideo', rate=round(self.rate))
                self._output = container, stream
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = 'yuv420p'
            container, stream = self._output
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24').reformat(format='yuv420p')))
        except (FFmpegError, OSError) as error:
            raise ValueError(f'{self.device} takes no images ({error}); is it a device of v4l2loopback?') from error
        return True

    def close(self) -> None:
        """Close the device."""
        if self._output is not None:
            self._output[0].close()


class Recording:
    """Sink that writes an MP4 with the time stamps of the camera; the file is complete after `close`.

    Args:
        output: the MP4.
        rate: frames per second, approximately.
        generation_info: for Content Credentials, or None.

    Raises:
        WriteError: the output cannot be written; at once if that can be determined in advance.
    """

    def __init__(self, output: Path, rate: float, generation_info: GenerationInfo | None = None):
        self.output, self.rate = output, Fraction(rate).limit_denominator(1001)
        self.generation_info = generation_info
        self._segment: SegmentWriter | None = None
        check_writable(output)
        self.folder = temporary_path(output.with_name('recording'))

    def __call__(self, seconds: float, image: np.ndarray) -> bool:
        """Write (H,W,3) uint8 RGB; returns True."""
        if self._segment is None:
            video_format = VideoFormat(image.shape[1], image.shape[0], self.rate, _TIME_BASE)
            with write_errors(self.output):
                self.folder.mkdir(exist_ok=True)
            self._segment = SegmentWriter(self.folder / 'segment.mp4', video_format)
        segment, stamp = self._segment, round(seconds / _TIME_BASE)
        if not segment.stamps or stamp > segment.stamps[-1]:
            segment.write(stamp, image)
        return True

    def close(self) -> None:
        """Finish the MP4. Nothing is written without a frame."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.close()
            first = segment.stamps[0]
            join_segments([segment.path], [stamp - first for stamp in segment.stamps], segment.end - first, segment.format,
                          self.output, generation_info=self.generation_info)
        finally:
            segment.abandon()
            remove(self.folder)
