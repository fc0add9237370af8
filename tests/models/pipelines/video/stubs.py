"""Small videos, and an engine whose networks are replaced by stand-ins."""
from fractions import Fraction

import av
import numpy as np

from models.perception.detection import Detector
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker
from tests.models.stubs import photo

CODECS = {'mp4': ('libx264', 'aac'), 'mov': ('libx264', 'pcm_s16le'), 'mkv': ('libx264', 'aac'), 'webm': ('libvpx', 'libopus'),
          'flv': ('flv', 'aac'), 'avi': ('mpeg4', 'libmp3lame'), 'ts': ('libx264', 'aac')}
RATE = 48_000  # of the sound, per second


class NoFaces(Detector):
    def detect(self, image, *, turned=True):
        return []


def passing_engine(**more) -> VideoEngine:
    """Finds no face, so that every frame passes."""
    return VideoEngine(lambda faces: (faces.crops, faces.crops[:, :1]), 32, Tracker(NoFaces()), **more)


def encode(path, frames, stamps, base=Fraction(1, 1000), *, codecs=None, sound=None, pixels='yuv420p', options=None,
           container=None, tags=None, rate=25):
    """A video of (H,W,3) uint8 RGB images, or of frames, at `stamps` in units of `base`. sound: its first and last moment in
    seconds, or None; tags: matrix, range, primaries and transfer curve."""
    image_codec, sound_codec = codecs or CODECS[path.suffix[1:]]
    with av.open(str(path), 'w', options=container or {}) as output:
        stream = output.add_stream(image_codec, rate=rate, options=options or {})
        first = frames[0]
        stream.height, stream.width = (first.height, first.width) if isinstance(first, av.VideoFrame) else first.shape[:2]
        stream.pix_fmt, stream.codec_context.time_base, stream.time_base = pixels, base, base
        if tags:
            context = stream.codec_context
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        voice = sound and output.add_stream(sound_codec, rate=RATE, layout='stereo')
        packets = []
        for number, (stamp, frame) in enumerate(zip(stamps, frames)):
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
            frame.pts, frame.time_base = stamp, base
            frame.duration = (stamps[number + 1] if number + 1 < len(stamps) else 2 * stamp - stamps[number - 1]) - stamp
            packets += stream.encode(frame)
        packets += stream.encode()
        if voice:
            packets += _voice(voice, *sound)
        output.start_encoding()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def _voice(stream, start: float, end: float) -> list:
    count = round((end - start) * RATE)
    wave = 0.3 * np.sin(np.arange(count) * 0.05)
    packets = []
    for at in range(0, count, 1024):
        block = np.ascontiguousarray(np.stack([wave, wave])[:, at:at + 1024], np.float32)
        frame = av.AudioFrame.from_ndarray(block, format='fltp', layout='stereo')
        frame.sample_rate, frame.pts, frame.time_base = RATE, round(start * RATE) + at, Fraction(1, RATE)
        packets += stream.encode(frame)
    return packets + stream.encode()


def images(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    still = photo(height, width)
    return [np.roll(still, 2 * number, 1) for number in range(count)]

