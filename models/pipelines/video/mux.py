"""MP4 encoding: segments of a video, and their concatenation with audio."""
import heapq
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from models.pipelines.io.provenance import GenerationInfo, sign
from models.pipelines.video.audio import AudioTracks
from models.pipelines.video.clip import EXACT, THREADS, VideoFormat
from models.storage.files import check_space, remove, replacing, sync, temporary_path, write_errors

QUALITY = 18  # constant rate factor of H.264: 0 is lossless, 51 the worst
_PIXEL_FORMAT = 'yuv420p'  # which all H.264 decoders support
_MATRICES = {1: 1, 4: 4, 7: 7, 9: 9, 10: 9}  # tag -> color space of the conversion; others are converted as BT.601, 5
# movie_timescale: unit of a late start, 1 ms by default
_MUXER_OPTIONS = {'movflags': 'faststart', 'movie_timescale': '90000'}


class EncodeError(ValueError):
    """FFmpeg cannot write a file; the message is one sentence."""


@contextmanager
def _encode_errors(path: Path) -> Iterator[None]:
    """Convert errors of the file system to WriteError, those of FFmpeg to EncodeError."""
    with write_errors(path):
        try:
            yield
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise EncodeError(f'{path} cannot be encoded ({error.strerror})') from error


class SegmentWriter:
    """An MP4 without audio, written frame by frame to a temporary file, which `close` renames.

    Args:
        path: of the file.
        video_format: of the frames; odd sides are padded by repeating the last row or column.
        quality: constant rate factor, see QUALITY.

    Attributes:
        stamps: time stamps of the frames so far.
        end: time of the end of the last frame.

    Raises:
        WriteError, EncodeError: by all methods.
    """

    def __init__(self, path: Path, video_format: VideoFormat, quality: int = QUALITY):
        self.path, self.format, self.end = path, video_format, 0
        self.stamps: list[int] = []
        self.temporary = temporary_path(path)
        with _encode_errors(path):
            self.container = av.open(str(self.temporary), 'w', format='mp4')
            # Without B-frames packets are in the order of frames and segments can be concatenated.
            options = {'preset': 'veryfast', 'crf': str(quality), 'bf': '0'}
            stream: Any = self.container.add_stream('libx264', rate=video_format.rate.limit_denominator(65535), options=options)
            context = stream.codec_context
            stream.width = video_format.width + video_format.width % 2
            stream.height = video_format.height + video_format.height % 2
            stream.pix_fmt = _PIXEL_FORMAT
            context.thread_count, context.time_base = THREADS, video_format.time_base
            context.sample_aspect_ratio = video_format.aspect
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = video_format.colors
            stream.time_base = video_format.time_base
            self.stream = stream

    def write(self, stamp: int, image: np.ndarray | av.VideoFrame, duration: int = 0) -> None:
        """Add a frame.

        Args:
            stamp: time stamp, above that of the previous frame.
            image: (H,W,3) uint8 RGB, or a decoded frame with even sides.
            duration: 0 for the mean one.
        """
        matrix, color_range = self.format.colors[:2]
        if isinstance(image, np.ndarray):
            height, width = image.shape[:2]
            if height % 2 or width % 2:
                image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame = frame.reformat(format=_PIXEL_FORMAT, dst_colorspace=_MATRICES.get(matrix, 5),
                                   dst_color_range=color_range or 1, **EXACT)
        else:
            frame = image if image.format.name == _PIXEL_FORMAT else image.reformat(format=_PIXEL_FORMAT)
            frame.pict_type = av.video.frame.PictureType.NONE  # otherwise the decoder's types are forced on the encoder
        self.stamps.append(stamp)
        self.end = stamp + (duration or self.format.step)
        frame.pts, frame.time_base = stamp - self.stamps[0], self.format.time_base
        with _encode_errors(self.path):
            self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Finish the file and rename it."""
        with _encode_errors(self.path):
            self.container.mux(self.stream.encode())
            self.container.close()
            sync(self.temporary)
            os.replace(self.temporary, self.path)

    def abandon(self) -> None:
        """Close and remove the temporary file."""
        with suppress(FFmpegError, OSError):
            self.container.close()
        remove(self.temporary)


def _video_packets(segments: list[Path], stamps: list[int], end: int, time_base: Fraction, stream: Any) -> Iterator[av.Packet]:
    """Packets of all segments for `stream`, with the time stamps of the video."""
    number, ends = 0, [*stamps[1:], end]
    for segment in segments:
        with av.open(str(segment)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.time_base, packet.stream = time_base, stream  # the muxer may have changed stream.time_base
                    packet.pts = packet.dts = stamps[number]
                    packet.duration = ends[number] - stamps[number]
                    yield packet
                    number += 1


def join_segments(segments: list[Path], stamps: list[int], end: int, video_format: VideoFormat, output: Path, *,
                  audio: AudioTracks | None = None, generation_info: GenerationInfo | None = None) -> None:
    """Concatenate segments to an MP4 with audio.

    Args:
        segments: files of SegmentWriter, in order.
        stamps: time stamps of all frames.
        end: time of the end of the last frame.
        video_format: of the segments.
        output: the MP4, replaced atomically.
        audio: of the video, or None.
        generation_info: for Content Credentials, or None.

    Raises:
        WriteError, EncodeError, ProvenanceError: the MP4 cannot be written; an existing file is unchanged.
    """
    try:
        _join(segments, stamps, end, video_format, output, audio, generation_info)
    except EncodeError:
        if audio is None or not audio.simplify():
            raise
        join_segments(segments, stamps, end, video_format, output, audio=audio, generation_info=generation_info)


def _join(segments: list[Path], stamps: list[int], end: int, video_format: VideoFormat, output: Path, audio: AudioTracks | None,
          generation_info: GenerationInfo | None) -> None:
    size = sum(segment.stat().st_size for segment in segments)
    output.parent.mkdir(parents=True, exist_ok=True)
    copies = 1 if generation_info is None else 2
    check_space(output.parent, size * copies, f'joining the segments of {output.name}')
    with replacing(output) as temporary:
        with (_encode_errors(output), av.open(str(segments[0])) as first,
              av.open(str(temporary), 'w', format='mp4', options=_MUXER_OPTIONS) as container):
            video: Any = container.add_stream_from_template(first.streams.video[0])
            video.time_base = video_format.time_base
            packets: list[Iterator[Any]] = [_video_packets(segments, stamps, end, video_format.time_base, video)]
            if audio is not None and audio.copied:
                packets.append(audio.packets(container))
                next(packets[1])
            container.start_encoding()
            for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                try:
                    container.mux(packet)
                except FFmpegError as error:  # the muxer parses packets of some codecs
                    if isinstance(error, OSError) or audio is None or packet.stream is video:
                        raise
                    audio.note_damage()
        if generation_info is not None:
            sign(temporary, generation_info, output.name)
