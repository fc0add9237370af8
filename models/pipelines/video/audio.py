"""Audio of a video for an MP4: copied packets, re-encoding as AAC, and filling of gaps with silence."""
import io
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av.error import FFmpegError

from models.pipelines.video.animation import Animation
from models.pipelines.video.clip import Clip, is_jump, read_errors

_CODECS = ('aac', 'mp3', 'ac3', 'eac3', 'alac', 'flac', 'opus')  # that media software expects in an MP4
_AAC_BITS_PER_CHANNEL = 96_000  # per second
_MAX_GAP_SECONDS = 0.05  # of missing audio; longer gaps are filled with silence
_CHANNEL_BUFFERS = 'pl' 'anes'  # name of the attribute of PyAV's audio frames


class AudioTracks:
    """The audio of a video for an MP4. Packets are copied where MP4 supports the codec and re-encoded as AAC elsewhere.

    Attributes:
        copied: index of each audio stream -> whether its packets are copied.
        notes: sentences for the user, complete after `packets` is exhausted.
    """

    def __init__(self, clip: Clip | Animation):
        self.path, self.origin = clip.path, clip.origin
        self.notes: list[str] = []
        self.copied: dict[int, bool] = {}
        if not clip.has_audio:
            return
        with read_errors(self.path), av.open(str(self.path), metadata_errors='replace') as container:
            for audio in container.streams.audio:
                context = audio.codec_context
                if context is None:
                    self.notes.append(f'{self.path} has sound in an unsupported codec; it was left out')
                    continue
                name = context.codec.canonical_name
                self.copied[audio.index] = name in _CODECS and self._is_supported(audio)
                if not self.copied[audio.index]:
                    self.notes.append(f'{self.path} has sound in {name}, which media software does not expect in an MP4; it was '
                                      'encoded as AAC')

    @staticmethod
    def _is_supported(audio: Any) -> bool:
        """Whether the MP4 muxer accepts the stream."""
        try:
            with av.open(io.BytesIO(), 'w', format='mp4') as trial:
                trial.add_stream_from_template(audio)
                trial.start_encoding()
        except (FFmpegError, ValueError):
            return False
        return True

    def packets(self, output: Any) -> Iterator[av.Packet | None]:
        """Add the streams to the container `output`, yield None, and then yield their packets in order."""
        with av.open(str(self.path), metadata_errors='replace') as container:
            tracks: dict[int, _CopiedTrack | _EncodedTrack] = {}
            for audio in container.streams.audio:
                if audio.index in self.copied:
                    track_class = _CopiedTrack if self.copied[audio.index] else _EncodedTrack
                    tracks[audio.index] = track_class(audio, output, self.origin)
            yield None
            try:
                for packet in container.demux([audio for audio in container.streams.audio if audio.index in tracks]):
                    yield from tracks[packet.stream.index].packets(packet)
            except FFmpegError:
                self.note_damage()
            if any(track.corrupt for track in tracks.values()):
                self.note_damage()

    def simplify(self) -> bool:
        """After an error of the muxer: re-encode copied streams, or else drop all streams. Returns False without streams."""
        if not self.copied:
            return False
        copied = any(self.copied.values())
        self.copied = dict.fromkeys(self.copied, False) if copied else {}
        self.notes.append(f'the sound of {self.path} does not fit into an MP4; it was '
                          + ('encoded as AAC' if copied else 'left out'))
        return True

    def note_damage(self) -> None:
        """Add the note of damaged audio, once."""
        sentence = f'the sound of {self.path} is damaged; a part of it was left out'
        if sentence not in self.notes:
            self.notes.append(sentence)


class _Track:
    """An audio stream of the output. corrupt: number of packets that could not be decoded."""

    def __init__(self, audio: Any, stream: Any, origin: Fraction):
        self.stream, self.origin, self.shift, self.corrupt = stream, origin, 0, 0
        self.last: int | None = None
        stream.metadata.update({key: value for key, value in audio.metadata.items() if key == 'language'})

    def _restamp(self, packet: Any) -> av.Packet:
        """Make time stamps rise strictly; decoding and presentation times of audio are equal."""
        if self.last is not None and is_jump((packet.dts - self.shift - self.last) * packet.time_base):
            self.shift = packet.dts - self.last - max(1, packet.duration or 0)
        packet.dts -= self.shift
        if self.last is not None and packet.dts <= self.last:
            packet.dts = self.last + 1
        packet.pts = packet.dts
        self.last, packet.stream = packet.dts, self.stream
        return packet


class _CopiedTrack(_Track):
    """A track whose packets are copied."""

    def __init__(self, audio: Any, output: Any, origin: Fraction):
        super().__init__(audio, output.add_stream_from_template(audio), origin)
        self.stream.time_base = audio.time_base

    def packets(self, packet: Any) -> Iterator[av.Packet]:
        """The packet with the time stamp of the output."""
        if packet.dts is not None and packet.size:
            packet.dts -= round(self.origin / packet.time_base)
            yield self._restamp(packet)


class _EncodedTrack(_Track):
    """A track that is re-encoded as AAC."""

    def __init__(self, audio: Any, output: Any, origin: Fraction):
        rates = sorted(av.codec.Codec('aac', 'w').audio_rates or ())
        rate = next((rate for rate in rates if rate >= audio.codec_context.sample_rate), rates[-1])
        channels = audio.codec_context.channels
        layout = {1: 'mono', 6: '5.1'}.get(channels, 'stereo')
        super().__init__(audio, output.add_stream('aac', rate=rate, layout=layout), origin)
        self.stream.bit_rate = _AAC_BITS_PER_CHANNEL * self.stream.codec_context.channels
        self.resampler = av.AudioResampler('fltp', layout, rate)
        self.next: int | None = None  # time of the next sample, in samples of the input

    def packets(self, packet: Any) -> Iterator[av.Packet]:
        """Encoded packets of a packet of the input."""
        try:
            for frame in packet.decode():
                start = yield from self._fill_gap(frame)
                frame.pts, frame.time_base = start, Fraction(1, frame.sample_rate)
                self.next = start + frame.samples
                yield from self._encode(self.resampler.resample(frame))
            if not packet.size:  # the end
                yield from self._encode([*self.resampler.resample(None), None])
        except (FFmpegError, ValueError):  # damaged, or of another rate or layout than the first packet
            self.corrupt += 1

    def _fill_gap(self, frame: Any) -> Generator[av.Packet, None, int]:
        """Packets of silence up to the frame, since the encoder supports no gaps; returns the time of the frame in samples."""
        rate = frame.sample_rate
        start = self.next or 0 if frame.pts is None else round((frame.pts * frame.time_base - self.origin) * rate)
        position = start if self.next is None else self.next
        if is_jump(Fraction(start - position, rate)):
            return position
        while start - position > _MAX_GAP_SECONDS * rate:
            silence = av.AudioFrame(frame.format.name, frame.layout, min(rate, start - position))
            for buffer in getattr(silence, _CHANNEL_BUFFERS):
                buffer.update(bytes([128 if frame.format.name.startswith('u8') else 0]) * buffer.buffer_size)
            silence.sample_rate, silence.pts, silence.time_base = rate, position, Fraction(1, rate)
            position = self.next = position + silence.samples
            yield from self._encode(self.resampler.resample(silence))
        return position

    def _encode(self, frames: Sequence[av.AudioFrame | None]) -> Iterator[av.Packet]:
        for frame in frames:
            yield from map(self._restamp, self.stream.encode(frame))
