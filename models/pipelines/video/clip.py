"""Videos on disk: every frame upright, in standard dynamic range and with its time stamp."""
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation

from models.image_io import ImageError, open_image
from models.pipelines.video.color import TRANSFERS, ToneMap

VIDEO_SUFFIXES = ('.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts', '.wmv', '.flv',
                  '.3gp', '.ogv')
ANIMATION_SUFFIXES, IMAGE_FORMATS = ('.gif', '.webp', '.png', '.apng'), ('GIF', 'WEBP', 'PNG')  # of animated images
MAX_PIXELS = 1 << 26  # of a frame, twice those of 8K; decoding more would fill a laptop's memory
THREADS = max(1, (os.cpu_count() or 1) // 4)  # of the decoder and of the encoder; the networks want the others
UNSPECIFIED = 2  # of color matrices, primaries and transfer curves
BT709 = (1, 1, 1, 1)  # limited range
_MATRIX_TAGS = (1, 4, 5, 6, 7, 9, 10)  # of YCbCr; FFmpeg converts frames with other tags as BT.601
_BT2020, _FULL_RANGE = 9, 2
_RATES = Fraction(1, 100), Fraction(1000)  # frames per second that are believed
_LONGEST_SECONDS = 3600  # of a frame, that are believed
_BACK_SECONDS = 1  # by which a time stamp falls back where the clock was set anew

# Without these, FFmpeg's way to RGB and back darkens an image by a step of 256.
EXACT = {'interpolation': (Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
                           | Interpolation.FULL_CHR_H_INP), 'threads': 1}


@dataclass(frozen=True)
class Frame:
    """stamp, its time in units of the video's time base; image (H,W,3) uint8 RGB, upright; plain, the frame as it was decoded,
    where it can be encoded as it is; duration in the unit of stamp, 0 where it is not known."""

    stamp: int
    image: np.ndarray
    plain: av.VideoFrame | None = None
    duration: int = 0


@dataclass(frozen=True)
class VideoFormat:
    """What an encoder is told: width and height in pixels, upright; rate, frames per second on average; base, seconds per unit of
    the time stamps; aspect of a pixel; colors, its matrix, range, primaries and transfer curve in FFmpeg's numbers."""

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction = Fraction(1)
    colors: tuple[int, int, int, int] = (UNSPECIFIED, 0, UNSPECIFIED, UNSPECIFIED)

    @property
    def step(self) -> int:
        """Usual time from one frame to the next, in units of `base`."""
        return max(1, round(1 / (self.rate * self.time_base)))


def is_animated(path: str | Path) -> bool:
    """Whether a file is a GIF, WebP or PNG with more than one image; False where it cannot be read."""
    if Path(path).suffix.lower() not in ANIMATION_SUFFIXES:
        return False
    try:
        with open_image(path, formats=IMAGE_FORMATS) as pil_image:
            return getattr(pil_image, 'n_frames', 1) > 1
    except ImageError:
        return False


def check_size(path: str | Path, width: int, height: int) -> None:
    """ValueError where frames have more than MAX_PIXELS."""
    if width * height > MAX_PIXELS:
        raise ValueError(f'{path} has {width} x {height} pixels, more than the {MAX_PIXELS / 1e6:.0f} million that are read; '
                         'reduce it first')


def is_jump(seconds: float | Fraction) -> bool:
    """Whether so much time from a frame or packet to the next means that the clock was set anew, as in joined broadcasts."""
    return not -_BACK_SECONDS <= seconds < _LONGEST_SECONDS


@contextmanager
def reading(path: Path):
    """Errors of FFmpeg and of the file system become one sentence."""
    try:
        yield
    except (FFmpegError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} cannot be read as a video ({getattr(error, "strerror", None) or error}); it may be damaged, '
                         'export it again') from error


class Clip:
    """A video that FFmpeg reads. look, as above; count, the number of its frames, which is an estimate unless `exact`, or None;
    sound, whether it has any; origin, the time in seconds that counts as 0; broken, how many packets could not be decoded so
    far; notes, sentences that the user should read.

    ValueError, one sentence, where the file is missing, no video, or broken from its start on.
    """

    def __init__(self, path: str | Path):
        self.path, self.broken, self.notes = Path(path), 0, []
        if not os.path.isfile(path):
            raise ValueError(f'{path} is no file; give a video (MP4, MOV, MKV, WebM, ...)')
        with self._opened() as (container, stream):
            self.format = None
            first = next(self._decoded(stream), None)
            if first is None:
                raise ValueError(f'{path} shows no frame that can be decoded; it may be damaged, export it again')
            self.turn = round(first.rotation / 90) % 4  # quarter turns against the clock that set it upright
            self.size = first.width, first.height
            transfer = TRANSFERS.get(int(first.color_trc))
            self.hdr = transfer and ToneMap(transfer, self._deep(first))
            self.format = self._look(stream, first)
            # Broadcast streams count from an arbitrary moment; elsewhere a late start is meant.
            continuous = container.format.flags & av.format.Flags.ts_discont.value == 0
            self.origin = Fraction(0) if continuous else Fraction(container.start_time or 0, av.time_base)
            seconds = stream.duration and stream.duration * stream.time_base
            # AVI counts chunks, some of which are empty or hold no image of their own (packed B-frames).
            self.exact, self.timed = stream.frames > 0 and container.format.name != 'avi', first.pts is not None
            self.frame_count = max(0, stream.frames or round((seconds or 0) * self.format.rate)) or None
            self.sound = bool(container.streams.audio)

    def _look(self, stream, first: av.VideoFrame) -> VideoFormat:
        width, height, aspect = *self.size, stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, 16) <= aspect <= 16:
            aspect = Fraction(1)
        if self.turn % 2:
            width, height, aspect = height, width, 1 / aspect
        rates = (rate for rate in (stream.average_rate, stream.guessed_rate) if rate and _RATES[0] <= rate <= _RATES[1])
        matrix, colors = int(first.colorspace), BT709
        if self.hdr:
            self._note(f'{self.path} is HDR ({self.hdr.transfer}); it was tone-mapped to standard dynamic range, BT.709')
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
    def _opened(self) -> Iterator[tuple]:
        with reading(self.path), av.open(str(self.path), metadata_errors='replace') as container:
            stream = next((stream for stream in container.streams.video), None)
            if stream is None:
                raise ValueError(f'{self.path} holds no images; give a video')
            context = stream.codec_context
            if context is None:
                raise ValueError(f'{self.path} has images in a codec that is not known here; convert it to H.264 first')
            check_size(self.path, context.width, context.height)
            if not stream.time_base:
                raise ValueError(f'{self.path} has no time base; it may be damaged, export it again')
            context.thread_count, context.options = THREADS, {'max_pixels': str(MAX_PIXELS)}
            yield container, stream

    def _decoded(self, stream) -> Iterator[av.VideoFrame]:
        """The frames; what is broken in between is counted and left out."""
        self.broken = 0
        packets = stream.container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:  # the rest cannot be read
                self.broken += 1
                return
            if packet is None:
                return
            self.broken += packet.is_corrupt
            try:
                yield from packet.decode()
            except FFmpegError:
                self.broken += 1

    def frames(self, skip: int = 0, seek: int | None = None) -> Iterator[Frame]:
        """Every frame from number `skip` on. seek: its time stamp, where that is known, so that not all before it is decoded.
        Time stamps rise: where the video has none or its clock is set anew, the average rate fills in."""
        if seek is not None and self.timed:
            with self._opened() as (container, stream):
                with suppress(FFmpegError):
                    container.seek(seek + self._shift, stream=stream)
                source = self._stamped(self._decoded(stream))
                for stamp, frame in source:
                    if stamp > seek:
                        break  # the video has no index that could be trusted
                    if stamp == seek:
                        yield self._upright(stamp, frame)
                        for stamp, frame in source:
                            yield self._upright(stamp, frame)
                        return
        with self._opened() as (_, stream):
            for number, (stamp, frame) in enumerate(self._stamped(self._decoded(stream))):
                if number >= skip:
                    yield self._upright(stamp, frame)

    @property
    def _shift(self) -> int:
        return round(self.origin / self.format.time_base)

    def _stamped(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        last, shift = None, self._shift
        for frame in frames:
            stamp = None if frame.pts is None else frame.pts - shift
            if last is not None and stamp is not None and is_jump((stamp - last) * self.format.time_base):
                shift, stamp = frame.pts - last - self.format.step, None
            if last is not None and (stamp is None or stamp <= last):
                stamp = last + (self.format.step if stamp is None else 1)
            last = 0 if stamp is None else stamp
            yield last, frame

    def _upright(self, stamp: int, frame: av.VideoFrame) -> Frame:
        duration = frame.duration or 0
        if not 0 < duration * self.format.time_base < _LONGEST_SECONDS:
            duration = 0
        same = (frame.width, frame.height) == self.size
        image = self._rgb(frame) if same else self._letterboxed(frame)
        if self.turn:
            image = np.ascontiguousarray(np.rot90(image, self.turn))
        format = frame.format
        encodable = same and not (self.turn or self.hdr or format.is_rgb or format.has_palette or self.format.width % 2
                                  or self.format.height % 2)
        return Frame(stamp, image, frame if encodable else None, duration)

    def _rgb(self, frame: av.VideoFrame) -> np.ndarray:
        return self.hdr(self._deep(frame)) if self.hdr else frame.to_ndarray(format='rgb24', **EXACT)

    @staticmethod
    def _deep(frame: av.VideoFrame) -> np.ndarray:
        """(H,W,3) uint16 RGB."""
        return frame.to_ndarray(format='gbrp16le', src_colorspace=_BT2020, dst_color_range=_FULL_RANGE, **EXACT)

    def _letterboxed(self, frame: av.VideoFrame) -> np.ndarray:
        """A frame of another size than the first one: scaled into it with its aspect kept, between black borders."""
        width, height = self.size
        self._note(f'{self.path} changes its size; frames of another size were scaled to {width} x {height} pixels, with black '
                   'borders where their aspect differs')
        scale = min(width / frame.width, height / frame.height)
        inner = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        canvas = np.zeros((height, width, 3), np.uint8)
        x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas[y:y + inner[1], x:x + inner[0]] = self._rgb(frame.reformat(*inner))
        return canvas

    def missing(self, frames: int) -> int:
        """How many images of the file are lost, when `frames` were decoded: those that its index counts and its data lack, and
        those whose packets were broken. Images that edits leave out do not count."""
        if not self.exact or frames >= self.frame_count:
            return self.broken
        packets = 0
        with suppress(ValueError), self._opened() as (container, stream), suppress(FFmpegError):
            for packet in container.demux(stream):
                packets += packet.size > 0
        return max(self.broken, self.frame_count - packets)
