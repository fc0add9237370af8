"""Cameras, and where their images go: a window, a virtual camera, a video."""
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError

from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.video.clip import VideoFormat
from models.pipelines.video.mux import SegmentWriter, join
from models.storage.files import check_writable, remove, temporary_path, write_errors

TITLE = 'face-swap-suite'
_BASE = Fraction(1, 90_000)  # seconds per unit of the time stamps of what is recorded
_NONE = 'no camera {} can be opened; say another number, camera:N, or a file that stands in, camera:FILE'


class Camera:
    """The newest image of a camera, again and again, until the camera is closed or a video that stands in for it ends.

    name: number of a camera, or a device, an address or a file, which is played at its own speed. Iterating gives seconds since
    the start and images (H,W,3) uint8 RGB; what arrives while nobody asks is `dropped`. ValueError where there is none.
    """

    def __init__(self, name: str = '0'):
        self.capture = cv2.VideoCapture(int(name) if name.isdecimal() else name)
        if not self.capture.isOpened():
            raise ValueError(_NONE.format(name))
        self.rate = self.capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.paced = Path(name).is_file()
        self.dropped = 0
        self._newest, self._news, self._ended = None, threading.Condition(), False
        self._thread = threading.Thread(target=self._grab, daemon=True)
        self._thread.start()

    def _grab(self) -> None:
        began, number = time.monotonic(), 0
        while not self._ended:
            there, image = self.capture.read()
            if not there:
                break
            if self.paced:
                number += 1
                time.sleep(max(0.0, began + number / self.rate - time.monotonic()))
            with self._news:
                self.dropped += self._newest is not None
                self._newest = time.monotonic() - began, image
                self._news.notify()
        with self._news:
            self._ended = True
            self._news.notify()

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest is not None or self._ended)
                found, self._newest = self._newest, None
            if found is None:
                return
            yield found[0], cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self.capture.release()


class Window:
    """Shows images until q or Escape is pressed or the window is closed."""

    def __call__(self, seconds: float, image: np.ndarray) -> bool:
        try:
            cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            key = cv2.waitKey(1) & 255
            return key not in (ord('q'), 27) and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error as error:
            raise ValueError('no window can be opened here; name a video or a virtual camera (/dev/video10) by -o') from error

    def close(self) -> None:
        cv2.destroyAllWindows()


class VirtualCamera:
    """Plays images into a device of v4l2loopback, which other programs take for a camera (Linux).

    ValueError, one sentence, where the device does not take them.
    """

    def __init__(self, device: Path, rate: float):
        self.device, self.rate, self.container = device, rate, None

    def __call__(self, seconds: float, image: np.ndarray) -> bool:
        try:
            if self.container is None:
                self.container = av.open(str(self.device), 'w', format='v4l2')
                self.stream = self.container.add_stream('rawvideo', rate=round(self.rate))
                self.stream.height, self.stream.width = image.shape[:2]
                self.stream.pix_fmt = 'yuv420p'
            self.container.mux(self.stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24').reformat(format='yuv420p')))
        except (FFmpegError, OSError) as error:
            raise ValueError(f'{self.device} takes no images ({error}); is it made by v4l2loopback?') from error
        return True

    def close(self) -> None:
        if self.container is not None:
            self.container.close()


class Recording:
    """Writes images as an MP4, with the times at which they were filmed; whole when it is closed. WriteError where it cannot be
    written, at once where that can be known."""

    def __init__(self, output: Path, rate: float, generation_info: GenerationInfo | None = None):
        self.output, self.rate = output, Fraction(rate).limit_denominator(1001)
        self.generation_info, self.piece = generation_info, None
        check_writable(output)
        self.folder = temporary_path(output.with_name('recording'))

    def __call__(self, seconds: float, image: np.ndarray) -> bool:
        if self.piece is None:
            self.format = VideoFormat(image.shape[1], image.shape[0], self.rate, _BASE)
            with write_errors(self.output):
                self.folder.mkdir(exist_ok=True)
            self.piece = SegmentWriter(self.folder / 'piece.mp4', self.format)
        stamp = round(seconds / _BASE)
        if not self.piece.stamps or stamp > self.piece.stamps[-1]:
            self.piece.write(stamp, image)
        return True

    def close(self) -> None:
        piece, self.piece = self.piece, None
        if piece is None:
            return
        try:
            piece.close()
            first = piece.stamps[0]
            join([piece.path], [stamp - first for stamp in piece.stamps], piece.end - first, self.format, self.output,
                 generation_info=self.generation_info)
        finally:
            piece.abandon()
            remove(self.folder)
