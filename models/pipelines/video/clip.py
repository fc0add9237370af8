"""Decoding of videos: upright frames in standard dynamic range with time stamps."""
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation

from models.image_io import ImageError, open_image
from models.pipelines.video.color import TRANSFERS, ToneMap

VIDEO_SUFFIXES = ('.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts', '.wmv', '.flv',
                  '.3gp', '.ogv')
ANIMATION_SUFFIXES, ANIMATION_FORMATS = ('.gif', '.webp', '.png', '.apng'), ('GIF', 'WEBP', 'PNG')
MAX_PIXELS = 1 << 26  # of a frame, twice those of 8K
THREADS = max(1, (os.cpu_count() or 1) // 4)  # of the decoder and of the encoder; the networks run at the same time
UNSPECIFIED = 2  # FFmpeg's number for color matrices, primaries and transfer curves
BT709 = (1, 1, 1, 1)  # limited range
_MATRIX_TAGS = (1, 4, 5, 6, 7, 9, 10)  # of YCbCr; FFmpeg converts frames with other tags as BT.601
_BT2020, _FULL_RANGE = 9, 2  # numbers of FFmpeg
_FPS_RANGE = Fraction(1, 100), Fraction(1000)  # other frame rates are ignored
_MAX_FRAME_SECONDS = 3600  # longer durations are ignored
_MAX_BACKWARD_SECONDS = 1  # a larger step back means that the clock was reset

# Without these options, FFmpeg's conversion to RGB and back darkens an image by one level.
EXACT: dict[str, Any] = {'interpolation': (Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
                                           | Interpolation.FULL_CHR_H_INP), 'threads': 1}


@dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
        stamp: time of the frame in units of the video's time base.
        image: (H,W,3) uint8 RGB, upright.
        decoded: the frame of the decoder, if it can be encoded without conversion, or None.
        duration: in the unit of `stamp`, 0 if unknown.
    """

    stamp: int
    image: np.ndarray
    decoded: av.VideoFrame | None = None
    duration: int = 0


@dataclass(frozen=True)
class VideoFormat:
    """Parameters of an encoder.

    Attributes:
        width, height: in pixels, upright.
        rate: mean number of frames per second.
        time_base: seconds per unit of the time stamps.
        aspect: width of a pixel over its height.
        colors: matrix, range, primaries and transfer curve in FFmpeg's numbers.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction = Fraction(1)
    colors: tuple[int, int, int, int] = (UNSPECIFIED, 0, UNSPECIFIED, UNSPECIFIED)

    @property
    def step(self) -> int:
        """Mean time from one frame to the next, in units of `time_base`."""
        return max(1, round(1 / (self.rate * self.time_base)))


def is_animated(path: str | Path) -> bool:
    """Whether a file is a GIF, WebP or PNG with more than one image; False if it cannot be read."""
    if Path(path).suffix.lower() not in ANIMATION_SUFFIXES:
        return False
    try:
        with open_image(path, formats=ANIMATION_FORMATS) as pil_image:
            return getattr(pil_image, 'n_frames', 1) > 1
    except ImageError:
        return False


def check_size(path: str | Path, width: int, height: int) -> None:
    """Raises ValueError for frames of more than MAX_PIXELS."""
    if width * height > MAX_PIXELS:
        raise ValueError(f'{path} has {width} x {height} pixels, more than the {MAX_PIXELS / 1e6:.0f} million that are read; '
                         'reduce it first')


def is_jump(seconds: float | Fraction) -> bool:
    """Whether the time from one frame or packet to the next means that the clock was reset, as in joined broadcasts."""
    return not -_MAX_BACKWARD_SECONDS <= seconds < _MAX_FRAME_SECONDS


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Convert errors of FFmpeg and the file system to a ValueError of one sentence."""
    try:
        yield
    except (FFmpegError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} cannot be read as a video ({getattr(error, "strerror", None) or error}); it may be damaged, '
                         'export it again') from error


class Clip:
    """A video file, decoded by FFmpeg.

    Attributes:
        path: of the file.
        format: VideoFormat of an encoder for its frames.
        frame_count: number of frames, an estimate unless `exact`; None if unknown.
        exact: whether the container counts frames.
        has_audio: whether there is an audio stream.
        origin: time in seconds that counts as 0.
        corrupt: number of packets that could not be decoded so far.
        notes: sentences for the user.

    Raises:
        ValueError: the file is missing, no video, or has no frame that can be decoded.
    """

    def __init__(self, path: str | Path):
        self.path, self.corrupt = Path(path), 0
        self.notes: list[str] = []
        if not os.path.isfile(path):
            raise ValueError(f'{path} is no file; give a video (MP4, MOV, MKV, WebM, ...)')
        with self._opened() as (container, stream):
            first = next(self._decode(stream), None)
            if first is None:
                raise ValueError(f'{path} shows no frame that can be decoded; it may be damaged, export it again')
            self.quarter_turns = round(first.rotation / 90) % 4  # counterclockwise, to the upright frame
            self.size = first.width, first.height
            transfer = TRANSFERS.get(int(first.color_trc))
            self.tone_map = ToneMap(transfer, self._to_rgb16(first)) if transfer else None
            self.format = self._video_format(stream, first)
            # Broadcast streams count from an arbitrary time; in other containers a late start is intended.
            continuous = container.format.flags & av.format.Flags.ts_discont.value == 0
            self.origin = Fraction(0) if continuous else Fraction(container.start_time or 0, av.time_base)
            seconds = stream.duration and stream.duration * stream.time_base
            # AVI counts chunks, some of which are empty or share a frame with another chunk (packed B-frames).
            self.exact = stream.frames > 0 and container.format.name != 'avi'
            self.has_stamps = first.pts is not None
            self.frame_count = max(0, stream.frames or round((seconds or 0) * self.format.rate)) or None
            self.has_audio = bool(container.streams.audio)

    def _video_format(self, stream: Any, first: av.VideoFrame) -> VideoFormat:
        width, height, aspect = *self.size, stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, 16) <= aspect <= 16:
            aspect = Fraction(1)
        if self.quarter_turns % 2:
            width, height, aspect = height, width, 1 / aspect
        rates = (rate for rate in (stream.average_rate, stream.guessed_rate) if rate and _FPS_RANGE[0] <= rate <= _FPS_RANGE[1])
        matrix, colors = int(first.colorspace), BT709
        if self.tone_map:
            self._note(f'{self.path} is HDR ({self.tone_map.transfer}); it was tone-mapped to standard dynamic range, BT.709')
        elif not first.format.is_rgb and not first.format.has_palette:
            colors = (matrix if matrix in _MATRIX_TAGS else UNSPECIFIED, int(first.color_range), int(first.color_primaries),
                      int(first.color_trc))
        if width % 2 or height % 2:
            self._note(f'{self.path} has an odd size of {width} x {height} pixels; its last rows and columns were repeated to '
                       f'make it {width + width % 2} x {height + height % 2}, as H.264 decoders require')
        return VideoFormat(width, height, next(rates, Fraction(25)), stream.time_base, aspect, colors)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """The container and its first video stream. Raises ValueError if there is none that can be decoded."""
        with read_errors(self.path), av.open(str(self.path), metadata_errors='replace') as container:
            stream = next((stream for stream in container.streams.video), None)
            if stream is None:
                raise ValueError(f'{self.path} holds no images; give a video')
            context = stream.codec_context
            if context is None:
                raise ValueError(f'{self.path} has images in an unsupported codec; convert it to H.264 first')
            check_size(self.path, context.width, context.height)
            if not stream.time_base:
                raise ValueError(f'{self.path} has no time base; it may be damaged, export it again')
            context.thread_count, context.options = THREADS, {'max_pixels': str(MAX_PIXELS)}
            yield container, stream

    def _decode(self, stream: Any) -> Iterator[av.VideoFrame]:
        """The frames of a stream; corrupt packets are counted and skipped."""
        self.corrupt = 0
        packets = stream.container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:  # the rest of the file cannot be read
                self.corrupt += 1
                return
            if packet is None:
                return
            self.corrupt += packet.is_corrupt
            try:
                yield from packet.decode()
            except FFmpegError:
                self.corrupt += 1

    def frames(self, skip: int = 0, seek: int | None = None) -> Iterator[Frame]:
        """Decode all frames from number `skip` on.

        Time stamps rise strictly: where they are missing or the clock is reset, the mean rate is used.

        Args:
            skip: number of frames to skip.
            seek: time stamp of frame `skip`, if known, to avoid decoding the frames before it.
        """
        if seek is not None and self.has_stamps:
            with self._opened() as (container, stream):
                with suppress(FFmpegError):
                    container.seek(seek + self._shift, stream=stream)
                source = self._with_stamps(self._decode(stream))
                for stamp, frame in source:
                    if stamp > seek:
                        break  # the video has no reliable index
                    if stamp == seek:
                        yield self._convert(stamp, frame)
                        for stamp, frame in source:
                            yield self._convert(stamp, frame)
                        return
        with self._opened() as (_, stream):
            for number, (stamp, frame) in enumerate(self._with_stamps(self._decode(stream))):
                if number >= skip:
                    yield self._convert(stamp, frame)

    @property
    def _shift(self) -> int:
        """`origin` in units of the time base."""
        return round(self.origin / self.format.time_base)

    def _with_stamps(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames with their rising time stamps."""
        last: int | None = None
        shift = self._shift
        for frame in frames:
            stamp = None if frame.pts is None else frame.pts - shift
            if frame.pts is not None and last is not None and stamp is not None \
                    and is_jump((stamp - last) * self.format.time_base):
                shift, stamp = frame.pts - last - self.format.step, None
            if last is not None and (stamp is None or stamp <= last):
                stamp = last + (self.format.step if stamp is None else 1)
            last = 0 if stamp is None else stamp
            yield last, frame

    def _convert(self, stamp: int, frame: av.VideoFrame) -> Frame:
        duration = frame.duration or 0
        if not 0 < duration * self.format.time_base < _MAX_FRAME_SECONDS:
            duration = 0
        same_size = (frame.width, frame.height) == self.size
        image = self._to_rgb(frame) if same_size else self._letterbox(frame)
        if self.quarter_turns:
            image = np.ascontiguousarray(np.rot90(image, self.quarter_turns))
        pixels = frame.format
        encodable = same_size and not (self.quarter_turns or self.tone_map or pixels.is_rgb or pixels.has_palette
                                       or self.format.width % 2 or self.format.height % 2)
        return Frame(stamp, image, frame if encodable else None, duration)

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """(H,W,3) uint8 RGB."""
        return self.tone_map(self._to_rgb16(frame)) if self.tone_map else frame.to_ndarray(format='rgb24', **EXACT)

    @staticmethod
    def _to_rgb16(frame: av.VideoFrame) -> np.ndarray:
        """(H,W,3) uint16 RGB."""
        return frame.to_ndarray(format='gbrp16le', src_colorspace=_BT2020, dst_color_range=_FULL_RANGE, **EXACT)

    def _letterbox(self, frame: av.VideoFrame) -> np.ndarray:
        """A frame of another size scaled to that of the first one, with its aspect ratio and black borders."""
        width, height = self.size
        self._note(f'{self.path} changes its size; frames of another size were scaled to {width} x {height} pixels, with black '
                   'borders where their aspect differs')
        scale = min(width / frame.width, height / frame.height)
        inner = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        canvas = np.zeros((height, width, 3), np.uint8)
        x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas[y:y + inner[1], x:x + inner[0]] = self._to_rgb(frame.reformat(*inner))
        return canvas

    def missing_frames(self, decoded: int) -> int:
        """Number of frames lost, given the number decoded: those that the index counts and the data lack, and those of corrupt
        packets. Frames removed by an edit list do not count."""
        if not self.exact or self.frame_count is None or decoded >= self.frame_count:
            return self.corrupt
        packets = 0
        with suppress(ValueError), self._opened() as (container, stream), suppress(FFmpegError):
            for packet in container.demux(stream):
                packets += packet.size > 0
        return max(self.corrupt, self.frame_count - packets)
