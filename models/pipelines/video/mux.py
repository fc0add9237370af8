"""MP4 files: pieces of a video that are being encoded, and pieces joined with the sound of the original."""
import heapq
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from models.pipelines.io.provenance import GenerationInfo, sign
from models.pipelines.video.clip import EXACT, THREADS, Clip, VideoFormat, is_jump, reading
from models.storage.files import check_space, remove, replacing, sync, temporary_path, write_errors

QUALITY = 18  # constant rate factor of H.264: 0 loses nothing, 51 nearly everything
_PIXELS = 'yuv420p'  # what H.264 decoders support
_MATRICES = {1: 1, 4: 4, 7: 7, 9: 9, 10: 9}  # tag -> what the conversion calls it; FFmpeg takes all others for BT.601, 5
_SOUND = ('aac', 'mp3', 'ac3', 'eac3', 'alac', 'flac', 'opus')  # what media software expects in an MP4; the rest becomes AAC
_BITS_PER_CHANNEL = 96_000  # of AAC, per second
_GAP_SECONDS = 0.05  # of missing sound that are filled
# movie_timescale: the unit of a late start, of which the default is a whole millisecond
_OPTIONS = {'movflags': 'faststart', 'movie_timescale': '90000'}


class EncodeError(ValueError):
    """What FFmpeg refuses to write, in one sentence."""


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """WriteError on what the file system refuses, EncodeError on what FFmpeg does."""
    with write_errors(path):
        try:
            yield
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise EncodeError(f'{path} cannot be encoded ({error.strerror})') from error


class SegmentWriter:
    """An MP4 of images alone that is being written: frames in, in order; on `close` it is whole and takes its name. quality as
    QUALITY. Odd sides get one more row or column, the last one again. stamps, of the frames so far; end, of the last one."""

    def __init__(self, path: Path, look: VideoFormat, quality: int = QUALITY):
        self.path, self.format, self.stamps, self.end = path, look, [], 0
        self.temporary = temporary_path(path)
        with _writing(path):
            self.container = av.open(str(self.temporary), 'w', format='mp4')
            # No B images, which look ahead: packets come in the order of frames, and pieces can be joined.
            options = {'preset': 'veryfast', 'crf': str(quality), 'bf': '0'}
            stream = self.container.add_stream('libx264', rate=look.rate.limit_denominator(65535), options=options)
            context = stream.codec_context
            stream.width, stream.height, stream.pix_fmt = look.width + look.width % 2, look.height + look.height % 2, _PIXELS
            context.thread_count, context.time_base, context.sample_aspect_ratio = THREADS, look.time_base, look.aspect
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = look.colors
            stream.time_base = look.time_base
            self.stream = stream

    def write(self, stamp: int, image: np.ndarray | av.VideoFrame, duration: int = 0) -> None:
        """(H,W,3) uint8 RGB, or a decoded frame of even size."""
        matrix, reach = self.format.colors[:2]
        if isinstance(image, np.ndarray):
            height, width = image.shape[:2]
            if height % 2 or width % 2:
                image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame = frame.reformat(format=_PIXELS, dst_colorspace=_MATRICES.get(matrix, 5), dst_color_range=reach or 1, **EXACT)
        else:
            frame = image if image.format.name == _PIXELS else image.reformat(format=_PIXELS)
            frame.pict_type = av.video.frame.PictureType.NONE  # the decoder's would be forced on the encoder
        self.stamps.append(stamp)
        self.end = stamp + (duration or self.format.step)
        frame.pts, frame.time_base = stamp - self.stamps[0], self.format.time_base
        with _writing(self.path):
            self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        with _writing(self.path):
            self.container.mux(self.stream.encode())
            self.container.close()
            sync(self.temporary)
            os.replace(self.temporary, self.path)

    def abandon(self) -> None:
        """Close and remove what was written."""
        with suppress(FFmpegError, OSError):
            self.container.close()
        remove(self.temporary)


class Sound:
    """The sound of a video for an MP4: packet by packet as it is where an MP4 holds it, as AAC elsewhere. notes, sentences that
    the user should read, complete when all packets were asked for."""

    def __init__(self, clip: Clip):
        self.clip, self.notes, self.kept = clip, [], {}
        if not clip.sound:
            return
        with reading(clip.path), av.open(str(clip.path), metadata_errors='replace') as container:
            for audio in container.streams.audio:
                context = audio.codec_context
                if context is None:
                    self.notes.append(f'{clip.path} has sound in a codec that is not known here; it was left out')
                    continue
                name = context.codec.canonical_name
                self.kept[audio.index] = name in _SOUND and self._fits(audio)
                if not self.kept[audio.index]:
                    self.notes.append(f'{clip.path} has sound in {name}, which media software does not expect in an MP4; it was '
                                      'encoded as AAC')

    @staticmethod
    def _fits(audio) -> bool:
        try:
            with av.open(io.BytesIO(), 'w', format='mp4') as trial:
                trial.add_stream_from_template(audio)
                trial.start_encoding()
        except (FFmpegError, ValueError):
            return False
        return True

    def packets(self, output) -> Iterator[av.Packet | None]:
        """None when the streams were added to `output`, and then their packets, in order."""
        with av.open(str(self.clip.path), metadata_errors='replace') as container:
            tracks = {}
            for audio in container.streams.audio:
                if audio.index in self.kept:
                    tracks[audio.index] = (_Copied if self.kept[audio.index] else _Encoded)(audio, output, self.clip.origin)
            yield None
            try:
                for packet in container.demux([audio for audio in container.streams.audio if audio.index in tracks]):
                    yield from tracks[packet.stream.index].packets(packet)
            except FFmpegError:
                self.lost()
            if any(track.broken for track in tracks.values()):
                self.lost()

    def simplify(self) -> bool:
        """After the muxer has refused the sound: encode what was kept, and the next time leave it out. False where there is
        none."""
        if not self.kept:
            return False
        copied = any(self.kept.values())
        self.kept = dict.fromkeys(self.kept, False) if copied else {}
        self.notes.append(f'the sound of {self.clip.path} does not fit into an MP4; it was '
                          + ('encoded as AAC' if copied else 'left out'))
        return True

    def lost(self) -> None:
        """Note that something is missing."""
        sentence = f'the sound of {self.clip.path} is damaged; a part of it was left out'
        if sentence not in self.notes:
            self.notes.append(sentence)


class _Track:
    def __init__(self, audio, stream, origin: Fraction):
        self.stream, self.origin, self.last, self.shift, self.broken = stream, origin, None, 0, 0
        stream.metadata.update({key: value for key, value in audio.metadata.items() if key == 'language'})

    def _rising(self, packet: av.Packet) -> av.Packet:
        """Time stamps rise from packet to packet; in sound those of decoding are those of presentation."""
        if self.last is not None and is_jump((packet.dts - self.shift - self.last) * packet.time_base):
            self.shift = packet.dts - self.last - max(1, packet.duration or 0)
        packet.dts -= self.shift
        if self.last is not None and packet.dts <= self.last:
            packet.dts = self.last + 1
        packet.pts = packet.dts
        self.last, packet.stream = packet.dts, self.stream
        return packet


class _Copied(_Track):
    def __init__(self, audio, output, origin: Fraction):
        super().__init__(audio, output.add_stream_from_template(audio), origin)
        self.stream.time_base = audio.time_base

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        if packet.dts is not None and packet.size:
            packet.dts -= round(self.origin / packet.time_base)
            yield self._rising(packet)


class _Encoded(_Track):
    def __init__(self, audio, output, origin: Fraction):
        rates = sorted(av.codec.Codec('aac', 'w').audio_rates)
        rate = next((rate for rate in rates if rate >= audio.codec_context.sample_rate), rates[-1])
        channels = audio.codec_context.channels
        layout = {1: 'mono', 6: '5.1'}.get(channels, 'stereo')
        super().__init__(audio, output.add_stream('aac', rate=rate, layout=layout), origin)
        self.stream.bit_rate = _BITS_PER_CHANNEL * self.stream.codec_context.channels
        self.resampler, self.next = av.AudioResampler('fltp', layout, rate), None

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        try:
            for frame in packet.decode():
                yield from self._silence(frame)
                frame.pts, frame.time_base = self.next, Fraction(1, frame.sample_rate)
                self.next += frame.samples
                yield from self._encoded(self.resampler.resample(frame))
            if not packet.size:  # the end
                yield from self._encoded([*self.resampler.resample(None), None])
        except (FFmpegError, ValueError):  # damaged, or of another rate or layout than at first
            self.broken += 1

    def _silence(self, frame: av.AudioFrame) -> Iterator[av.Packet]:
        """What fills a gap before the frame: the encoder knows none."""
        rate = frame.sample_rate
        start = self.next or 0 if frame.pts is None else round((frame.pts * frame.time_base - self.origin) * rate)
        self.next = start if self.next is None else self.next
        if is_jump(Fraction(start - self.next, rate)):
            return
        while start - self.next > _GAP_SECONDS * rate:
            silent = av.AudioFrame(frame.format.name, frame.layout, min(rate, start - self.next))
            for plane in silent.planes:
                plane.update(bytes([128 if frame.format.name.startswith('u8') else 0]) * plane.buffer_size)
            silent.sample_rate, silent.pts, silent.time_base = rate, self.next, Fraction(1, rate)
            self.next += silent.samples
            yield from self._encoded(self.resampler.resample(silent))

    def _encoded(self, frames: list[av.AudioFrame | None]) -> Iterator[av.Packet]:
        for frame in frames:
            yield from map(self._rising, self.stream.encode(frame))


def _images(pieces: list[Path], stamps: list[int], end: int, base: Fraction, stream) -> Iterator[av.Packet]:
    number, ends = 0, [*stamps[1:], end]
    for piece in pieces:
        with av.open(str(piece)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.time_base, packet.stream = base, stream  # the muxer has changed the stream's own unit
                    packet.pts = packet.dts = stamps[number]
                    packet.duration = ends[number] - stamps[number]
                    yield packet
                    number += 1


def join(pieces: list[Path], stamps: list[int], end: int, look: VideoFormat, output: Path, *, sound: Sound | None = None,
         generation_info: GenerationInfo | None = None) -> None:
    """Pieces, one after the other, as one MP4 with sound.

    stamps: of all frames; end: of the last frame. generation_info: for Content Credentials. WriteError, EncodeError or
    ProvenanceError where it cannot be written; the output is then as it was.
    """
    try:
        _join(pieces, stamps, end, look, output, sound, generation_info)
    except EncodeError:
        if sound is None or not sound.simplify():
            raise
        join(pieces, stamps, end, look, output, sound=sound, generation_info=generation_info)


def _join(pieces: list[Path], stamps: list[int], end: int, look: VideoFormat, output: Path, sound: Sound | None,
          generation_info: GenerationInfo | None) -> None:
    size = sum(piece.stat().st_size for piece in pieces)
    output.parent.mkdir(parents=True, exist_ok=True)
    check_space(output.parent, size * (1 if generation_info is None else 2), f'{output.name}, of which the frames are made,')
    with replacing(output) as temporary:
        with (_writing(output), av.open(str(pieces[0])) as first,
              av.open(str(temporary), 'w', format='mp4', options=_OPTIONS) as container):
            video = container.add_stream_from_template(first.streams.video[0])
            video.time_base = look.time_base
            packets = [_images(pieces, stamps, end, look.time_base, video)]
            if sound is not None and sound.kept:
                packets.append(sound.packets(container))
                next(packets[1])
            container.start_encoding()
            for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                try:
                    container.mux(packet)
                except FFmpegError as error:  # the muxer looks into packets of some codecs
                    if isinstance(error, OSError) or packet.stream is video:
                        raise
                    sound.lost()
        if generation_info is not None:
            sign(temporary, generation_info, output.name)
