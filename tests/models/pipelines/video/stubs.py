"""Small videos, stub detectors and embedders, and video engines with stub networks."""
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from models.perception.detection import Detector, Face
from models.pipelines.photo import AlignedFaces
from models.pipelines.video.clip import Clip
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker
from tests.models.stubs import face_at, photo

# suffix -> video and audio codec
CODECS = {'mp4': ('libx264', 'aac'), 'mov': ('libx264', 'pcm_s16le'), 'mkv': ('libx264', 'aac'), 'webm': ('libvpx', 'libopus'),
          'flv': ('flv', 'aac'), 'avi': ('mpeg4', 'libmp3lame'), 'ts': ('libx264', 'aac')}
RATE = 48_000  # audio samples per second
RED, BLUE = (230, 20, 20), (20, 20, 230)


class NoFaces(Detector):
    """Detects nothing."""

    def detect(self, image: np.ndarray, *, any_rotation: bool = True) -> list[Face]:
        return []


class Discs(Detector):
    """Detects red and blue discs as faces."""

    def search_around(self, image: np.ndarray, face: Face) -> Face | None:
        return None

    def detect(self, image: np.ndarray, *, any_rotation: bool = True) -> list[Face]:
        faces, pixels = [], image.astype(int)
        for strong, weak in ((0, 2), (2, 0)):
            y, x = np.nonzero(pixels[..., strong] - pixels[..., weak] > 150)
            if len(x):
                faces.append(face_at(x.mean(), y.mean(), np.sqrt(len(x) / np.pi) + 4))
        return sorted(faces, key=lambda face: -face.area)


def embed_color(image: np.ndarray, faces: list[Face]) -> Tensor:
    """Embeddings: the normalized color at each nose."""
    limit = np.array(image.shape[:2]) - 1
    colors = [image[tuple(np.clip(face.points[2].round().astype(int)[::-1], 0, limit))] for face in faces]
    return torch.nn.functional.normalize(torch.tensor(np.array(colors), dtype=torch.float32), dim=1)


def scene(*discs: tuple, height: int = 72, width: int = 96, seed: int = 0) -> np.ndarray:
    """A gray image (H,W,3) uint8 with discs (x, y, radius, color)."""
    image = (photo(height, width, seed) // 4 + 90).astype(np.uint8)
    yy, xx = np.mgrid[:height, :width]
    for x, y, radius, color in discs:
        image[np.hypot(xx - x, yy - y) < radius] = color
    return image


def moving(count: int) -> list[np.ndarray]:
    """Scenes with a red disc that moves by 2 pixels per frame."""
    return [scene((20 + 2 * i, 30 + i % 3, 9, RED)) for i in range(count)]


def images(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A photo that moves by 2 pixels per frame."""
    still = photo(height, width)
    return [np.roll(still, 2 * number, 1) for number in range(count)]


def passing_engine(**options) -> VideoEngine:
    """An engine that detects no face, so that frames pass unchanged."""
    return VideoEngine(lambda faces: (faces.crops, faces.crops[:, :1]), 32, Tracker(NoFaces()), **options)


def disc_engine(generate_faces: Callable | None = None, *, tracker: Tracker | None = None, **options) -> VideoEngine:
    """An engine that replaces discs, by white crops unless given a generator."""
    def white(faces: AlignedFaces) -> tuple[Tensor, Tensor]:
        side = faces.crops.shape[-1]
        return torch.ones_like(faces.crops), torch.ones(len(faces.crops), 1, side, side)

    return VideoEngine(generate_faces or white, 32, tracker or Tracker(Discs(), embed_color), **options)


def encode(path: Path, frames: list, stamps: list[int], base: Fraction = Fraction(1, 1000), *, codecs: tuple | None = None,
           sound: tuple[float, float] | None = None, pixels: str = 'yuv420p', options: dict | None = None,
           container: dict | None = None, tags: tuple | None = None, rate: int = 25) -> Path:
    """Write a video.

    Args:
        path: path of the file.
        frames: (H,W,3) uint8 RGB, or av.VideoFrame.
        stamps: time stamps of the frames in units of `base`.
        base: seconds per unit.
        codecs: codecs of video and audio; None for CODECS.
        sound: start and end of the audio in seconds.
        pixels: pixel format.
        options: options of the video codec.
        container: options of the muxer.
        tags: matrix, range, primaries and transfer curve.
        rate: frames per second.
    """
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
            packets += _tone(voice, *sound)
        output.start_encoding()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def _tone(stream, start: float, end: float) -> list[av.Packet]:
    """Packets of a tone between two times in seconds."""
    count = round((end - start) * RATE)
    wave = 0.3 * np.sin(np.arange(count) * 0.05)
    packets = []
    for at in range(0, count, 1024):
        block = np.ascontiguousarray(np.stack([wave, wave])[:, at:at + 1024], np.float32)
        frame = av.AudioFrame.from_ndarray(block, format='fltp', layout='stereo')
        frame.sample_rate, frame.pts, frame.time_base = RATE, round(start * RATE) + at, Fraction(1, RATE)
        packets += stream.encode(frame)
    return packets + stream.encode()


def encode_lossless(path: Path, frames: list[np.ndarray], times: list[int] | None = None, *, rotation: int = 0,
                    sound: bool = False) -> Path:
    """Write an MP4 without loss. times: in milliseconds, 25 frames per second by default; rotation: in degrees."""
    times = times or [40 * i for i in range(len(frames))]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options={'crf': '0', 'preset': 'ultrafast'})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = 'yuv420p', Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        voice = container.add_stream('aac', rate=16000, layout='mono') if sound else None
        for time, image in zip(times, frames):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice:
            noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 16000 * times[-1] // 1000)).astype(np.float32)
            block = av.AudioFrame.from_ndarray(noise, format='fltp', layout='mono')
            block.sample_rate = 16000
            container.mux(voice.encode(block))
            container.mux(voice.encode())
    return path


def images_of(path: Path) -> list[np.ndarray]:
    """Decoded frames (H,W,3) uint8."""
    return [frame.image for frame in Clip(path).frames()]
