"""Videos on disk: every frame upright with its time stamp, pieces of a video, and pieces joined with the sound of the
original."""
import heapq
import io
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

from models.pipelines.io.provenance import Making, sign

ENDINGS = ('.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts', '.wmv', '.flv', '.3gp',
           '.ogv')
QUALITY = 18  # constant rate factor of H.264: 0 loses nothing, 51 nearly everything
_THREADS = max(1, (os.cpu_count() or 1) // 4)  # of the decoder and of the encoder; the networks want the others
_UNSPECIFIED = 2  # of color matrices, primaries and transfer curves
_MATRICES = {1: 1, 4: 4, 7: 7, 9: 9, 10: 9}  # tag -> what the conversion calls it; FFmpeg takes all others for BT.601, 5

# Without these, FFmpeg's way to RGB and back darkens an image by a step of 256.
_EXACT = {'interpolation': (Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
                            | Interpolation.FULL_CHR_H_INP), 'threads': 1}


@dataclass(frozen=True)
class Frame:
    """stamp, its time in units of the video's time base; image (H,W,3) uint8 RGB, upright; plain, the frame as it was decoded,
    where it need not be turned."""

    stamp: int
    image: np.ndarray
    plain: av.VideoFrame | None = None


@dataclass(frozen=True)
class Look:
    """What an encoder is told: width and height in pixels, upright; rate, frames per second on average; base, seconds per unit of
    the time stamps; aspect of a pixel; colors, its matrix, range, primaries and transfer curve in FFmpeg's numbers."""

    width: int
    height: int
    rate: Fraction
    base: Fraction
    aspect: Fraction = Fraction(1)
    colors: tuple[int, int, int, int] = (_UNSPECIFIED, 0, _UNSPECIFIED, _UNSPECIFIED)

    @property
    def pixels(self) -> str:
        return 'yuv444p' if self.width % 2 or self.height % 2 else 'yuv420p'


@contextmanager
def _said(path: Path, doing: str):
    """FFmpeg's errors become one sentence."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise ValueError(f'{path} cannot be {doing} ({error.strerror or error})') from error


class Clip:
    """A video. look, as above; count, the number of its frames, which is an estimate unless `exact`, or None; sound, the codecs
    of its sound; broken, how many packets could not be decoded so far.

    ValueError, one sentence, where the file is missing, no video, or broken from its start on.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f'{path} is no file; give a video (MP4, MOV, MKV, WebM, ...)')
        with self._opened() as (_, stream):
            first = next(self._decoded(stream), None)
            if first is None:
                raise ValueError(f'{path} shows no frame that can be decoded; it may be damaged, export it again')
            self.turn = round(first.rotation / 90) % 4  # quarter turns against the clock that set it upright
            width, height = first.width, first.height
            aspect = stream.sample_aspect_ratio or Fraction(1)
            if self.turn % 2:
                width, height, aspect = height, width, 1 / aspect
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            colors = int(first.colorspace), int(first.color_range), int(first.color_primaries), int(first.color_trc)
            self.look = Look(width, height, rate, stream.time_base, aspect, colors)
            seconds = stream.duration and stream.duration * stream.time_base
            self.exact, self.timed = bool(stream.frames), first.pts is not None
            self.count = stream.frames or (round(seconds * rate) if seconds else None)
            self.sound = [audio.codec_context.name for audio in stream.container.streams.audio]
        self.broken = 0

    @contextmanager
    def _opened(self) -> Iterator[tuple]:
        with _said(self.path, 'read as a video'), av.open(str(self.path)) as container:
            if not container.streams.video:
                raise ValueError(f'{self.path} holds no images; give a video')
            stream = container.streams.video[0]
            stream.codec_context.thread_count = _THREADS
            yield container, stream

    def _decoded(self, stream) -> Iterator[av.VideoFrame]:
        """The frames; what is broken in between is counted and left out."""
        self.broken = 0
        for packet in stream.container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                self.broken += 1

    def frames(self, skip: int = 0, seek: int | None = None) -> Iterator[Frame]:
        """Every frame from number `skip` on. seek: its time stamp, where that is known, so that not all before it is decoded.
        Time stamps rise: where the video has none or they fall back, the average rate fills in."""
        if seek is not None and self.timed:
            with self._opened() as (container, stream):
                with suppress(FFmpegError):
                    container.seek(seek, stream=stream)
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

    def _stamped(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        step, last = max(1, round(1 / (self.look.rate * self.look.base))), None
        for frame in frames:
            stamp = frame.pts
            if last is not None and (stamp is None or stamp <= last):
                stamp = last + (step if stamp is None else 1)
            last = 0 if stamp is None else stamp
            yield last, frame

    def _upright(self, stamp: int, frame: av.VideoFrame) -> Frame:
        sides = (self.look.height, self.look.width) if self.turn % 2 else (self.look.width, self.look.height)
        if (frame.width, frame.height) != sides:  # some videos change their size on the way
            frame = frame.reformat(width=sides[0], height=sides[1])
        image = frame.to_ndarray(format='rgb24', **_EXACT)
        if self.turn:
            return Frame(stamp, np.ascontiguousarray(np.rot90(image, self.turn)))
        return Frame(stamp, image, frame)

    def check_sound(self) -> None:
        """ValueError where an MP4 cannot hold the sound as it is."""
        with self._opened() as (container, _):
            for audio in container.streams.audio:
                try:
                    with av.open(io.BytesIO(), 'w', format='mp4') as trial:
                        trial.add_stream_from_template(audio)
                        trial.start_encoding()
                except (FFmpegError, ValueError) as error:
                    raise ValueError(f'{self.path} has sound in {audio.codec_context.name}, which an MP4 cannot hold: convert it '
                                     'first, for instance by ffmpeg -i VIDEO -c:v copy -c:a aac NEW.mp4') from error


class Piece:
    """An MP4 of images alone that is being written: frames in, in order; on `close` it is whole. quality as QUALITY."""

    def __init__(self, path: Path, look: Look, quality: int = QUALITY):
        self.path, self.look, self.stamps = path, look, []
        with _said(path, 'written'):
            self.container = av.open(str(path), 'w', format='mp4')
            # No B images, which look ahead: packets come in the order of frames, and pieces can be joined.
            options = {'preset': 'veryfast', 'crf': str(quality), 'bf': '0'}
            stream = self.container.add_stream('libx264', rate=look.rate.limit_denominator(65535), options=options)
            context = stream.codec_context
            stream.width, stream.height, stream.pix_fmt = look.width, look.height, look.pixels
            context.thread_count, context.time_base, context.sample_aspect_ratio = _THREADS, look.base, look.aspect
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = look.colors
            stream.time_base = look.base
            self.stream = stream

    def write(self, stamp: int, image: np.ndarray | av.VideoFrame) -> None:
        """(H,W,3) uint8 RGB, or a decoded frame."""
        matrix, reach = self.look.colors[:2]
        if isinstance(image, np.ndarray):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame = frame.reformat(format=self.look.pixels, dst_colorspace=_MATRICES.get(matrix, 5), dst_color_range=reach or 1,
                                   **_EXACT)
        else:
            frame = image if image.format.name == self.look.pixels else image.reformat(format=self.look.pixels)
            frame.pict_type = av.video.frame.PictureType.NONE  # the decoder's would be forced on the encoder
        self.stamps.append(stamp)
        frame.pts, frame.time_base = stamp - self.stamps[0], self.look.base
        with _said(self.path, 'written'):
            self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        with _said(self.path, 'written'):
            self.container.mux(self.stream.encode())
            self.container.close()

    def abandon(self) -> None:
        """Close and remove what was written."""
        self.container.close()
        self.path.unlink(missing_ok=True)


def _images(pieces: list[Path], stamps: list[int], last: int, stream) -> Iterator[av.Packet]:
    number, ends = 0, [*stamps[1:], stamps[-1] + last]
    for piece in pieces:
        with av.open(str(piece)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.time_base, packet.stream = stream.time_base, stream
                    packet.pts = packet.dts = stamps[number]
                    packet.duration = ends[number] - stamps[number]
                    yield packet
                    number += 1


def _sounds(clip: Clip, muxer) -> Iterator[av.Packet]:
    """Packets of the video's sound, as they are, for streams that are added here, before the first one is asked for."""
    with av.open(str(clip.path)) as container:
        streams = {audio.index: muxer.add_stream_from_template(audio) for audio in container.streams.audio}
        for audio, copy in zip(container.streams.audio, streams.values()):
            copy.time_base = audio.time_base
            copy.metadata.update({key: value for key, value in audio.metadata.items() if key == 'language'})
        yield None
        for packet in container.demux(container.streams.audio):
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                yield packet


def join(pieces: list[Path], stamps: list[int], look: Look, output: Path, *, clip: Clip | None = None,
         making: Making | None = None) -> None:
    """Pieces, one after the other, as one MP4, with the sound of `clip` packet by packet as it is.

    stamps: of all frames. making: for Content Credentials. Written beside and renamed; ValueError where it cannot be written.
    """
    beside = output.with_name(f'.{output.name}.{os.getpid()}.tmp')
    try:
        with (_said(output, 'written'), av.open(str(pieces[0])) as first,
              av.open(str(beside), 'w', format='mp4', options={'movflags': 'faststart'}) as muxer):
            video = muxer.add_stream_from_template(first.streams.video[0])
            video.time_base = look.base
            packets = [_images(pieces, stamps, max(1, round(1 / (look.rate * look.base))), video)]
            if clip is not None and clip.sound:
                packets.append(_sounds(clip, muxer))
                next(packets[1])
            muxer.start_encoding()
            for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                muxer.mux(packet)
        if making is not None:
            sign(beside, making, output.name)
        os.replace(beside, output)
    finally:
        beside.unlink(missing_ok=True)
