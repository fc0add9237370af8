"""Colors and sizes of converted frames, and animated images."""
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from models.perception.detection import Detector
from models.pipelines.video.animation import Animation, open_clip
from models.pipelines.video.clip import is_animated
from models.pipelines.video.color import pq_encode
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker
from tests.models.pipelines.video.stubs import encode, images, images_of, passing_engine
from tests.models.stubs import face_at, photo

CASES = Path(__file__).resolve().parents[3] / 'fixtures' / 'cases'
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # ITU-R BT.2087
_CHANNEL_BUFFERS = 'pl' 'anes'  # name of the attribute of PyAV's video frames


def luma_difference(first, second) -> float:
    """Mean absolute difference; colors are blurred by 4:2:0."""
    weights = [0.299, 0.587, 0.114]
    return float(np.abs(first @ weights - second @ weights).mean())


def color_tags(path):
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.pix_fmt, context.colorspace, context.color_primaries, context.color_trc


def hdr_frame(signal: np.ndarray) -> av.VideoFrame:
    """A frame of 10 bits from an encoded RGB signal of BT.2020, (H,W,3) in [0,1] (ITU-R BT.2020, table 4)."""
    red, green, blue = np.moveaxis(signal, -1, 0)
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    channels = luma * 876 + 64, (blue - luma) / 1.8814 * 896 + 512, (red - luma) / 1.4746 * 896 + 512
    frame = av.VideoFrame(signal.shape[1], signal.shape[0], 'yuv420p10le')
    for number, (buffer, values) in enumerate(zip(getattr(frame, _CHANNEL_BUFFERS), channels)):
        values = values if number == 0 else cv2.resize(values, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        padded = np.zeros((buffer.height, buffer.line_size // 2), '<u2')
        padded[:, :values.shape[1]] = values.round().clip(0, 1023)
        buffer.update(padded.tobytes())
    frame.colorspace, frame.color_range, frame.color_primaries = 9, 1, 9
    return frame


def hlg_encode(light):
    bright = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), bright)


@pytest.mark.parametrize('transfer', ['PQ', 'HLG'])
def test_hdr_is_tone_mapped(tmp_path, transfer):
    """A photo mastered at the reference white of 203 cd/m2 with highlights of 1000 cd/m2 is reconstructed."""
    image = photo(64, 96) // 2
    image[:8, :8] = 255
    light = (image / 255) ** 2.4 @ TO_BT2020.T * 203
    light[:8, :8] = 1000
    if transfer == 'PQ':
        signal, tag = pq_encode(light), 16
    else:
        luma = (light @ [0.2627, 0.6780, 0.0593])[..., None] / 1000
        signal, tag = hlg_encode(light / 1000 * np.maximum(luma, 1e-9) ** (1 / 1.2 - 1)), 18
    source = encode(tmp_path / 'in.mp4', [hdr_frame(signal)] * 3, [0, 40, 80], codecs=('libx265', None), pixels='yuv420p10le',
                    options={'crf': '2', 'x265-params': 'log-level=none'}, tags=(9, 1, 9, tag))
    report = passing_engine(quality=2).convert(source, tmp_path / 'out.mp4')
    assert color_tags(tmp_path / 'out.mp4') == ('yuv420p', 1, 1, 1)
    assert [note for note in report.notes if transfer in note and 'BT.709' in note]
    for output in images_of(tmp_path / 'out.mp4'):
        assert luma_difference(output[10:, 10:], image[10:, 10:]) < 4 and output[:6, :6].min() > 240


def test_tone_mapped_hdr10_is_tagged_as_bt709(tmp_path):
    passing_engine().convert(CASES / 'hdr10.mp4', tmp_path / 'out.mp4')
    assert color_tags(tmp_path / 'out.mp4') == ('yuv420p', 1, 1, 1) and len(images_of(tmp_path / 'out.mp4')) == 24


@pytest.mark.parametrize('height, width', [(49, 64), (48, 63), (49, 63)])
def test_odd_sizes_are_padded(tmp_path, height, width):
    decoded = images(4, height, width)
    source = encode(tmp_path / 'in.mkv', decoded, [0, 40, 80, 120], codecs=('ffv1', None), pixels='bgr0')
    report = passing_engine(quality=2).convert(source, tmp_path / 'out.mp4')
    assert color_tags(tmp_path / 'out.mp4')[0] == 'yuv420p' and any(f'{width} x {height}' in note for note in report.notes)
    for before, after in zip(decoded, images_of(tmp_path / 'out.mp4')):
        assert after.shape == (height + height % 2, width + width % 2, 3)
        assert luma_difference(after[:height, :width], before) < 3
        assert luma_difference(after[-1], after[height - 1]) < 4 and luma_difference(after[:, -1], after[:, width - 1]) < 4


def test_frames_of_another_size_are_letterboxed(tmp_path):
    """A square in the second half of a video remains a square."""
    second = np.full((64, 64, 3), 120, np.uint8)
    second[16:48, 16:48] = 230
    parts = [encode(tmp_path / f'{number}.ts', [image] * 4, [0, 40, 80, 120]) for number, image in
             enumerate((photo(48, 96), second))]
    (tmp_path / 'in.ts').write_bytes(b''.join(part.read_bytes() for part in parts))
    report = passing_engine(quality=2).convert(tmp_path / 'in.ts', tmp_path / 'out.mp4')
    last = images_of(tmp_path / 'out.mp4')[-1]
    assert last.shape == (48, 96, 3) and any('changes its size' in note for note in report.notes)
    rows, columns = np.nonzero(last.min(2) > 175)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2 and np.ptp(rows) == pytest.approx(24, abs=2)
    assert last[:, :20].max() < 30 and last[:, -20:].max() < 30


class CenterDetector(Detector):
    """Detects a face at the center."""

    def detect(self, image, *, any_rotation=True):
        return [face_at(image.shape[1] / 2, image.shape[0] / 2, 40)]


def _orange(faces):
    """FaceGenerator of orange crops."""
    orange = torch.tensor([0.9, 0.2, -0.6]).view(1, 3, 1, 1).expand_as(faces.crops).contiguous()
    return orange, torch.ones_like(faces.crops[:, :1])


@pytest.mark.parametrize('color', [False, True])
def test_faces_of_a_gray_video_are_gray(tmp_path, color):
    engine = VideoEngine(_orange, 32, Tracker(CenterDetector()), color=color)
    report = engine.convert(CASES / 'gray.mp4', tmp_path / 'out.mp4')
    before, after = images_of(CASES / 'gray.mp4'), images_of(tmp_path / 'out.mp4')
    assert report.faces == 24 and np.abs(after[5].astype(int) - before[5]).max() > 20
    assert max(int(np.ptp(image, axis=2).max()) for image in after) <= 3


def test_faces_of_a_color_video_have_color(tmp_path):
    source = encode(tmp_path / 'in.mp4', images(3, 96, 96), [0, 40, 80])
    VideoEngine(_orange, 32, Tracker(CenterDetector())).convert(source, tmp_path / 'out.mp4')
    assert np.ptp(images_of(tmp_path / 'out.mp4')[1][48, 48].astype(int)) > 100


DURATIONS = [40, 120, 70, 300]  # milliseconds


@pytest.mark.parametrize('name', ['a.gif', 'a.webp', 'a.png'])
def test_animated_images_are_converted(tmp_path, name):
    decoded = [photo(48, 64, seed) for seed in range(4)]
    first, *more = map(Image.fromarray, decoded)
    options = {'lossless': True} if name == 'a.webp' else {}
    first.save(tmp_path / name, save_all=True, append_images=more, duration=DURATIONS, **options)
    assert is_animated(tmp_path / name)
    report = passing_engine(quality=2).convert(tmp_path / name, tmp_path / 'out.mp4')
    with av.open(str(tmp_path / 'out.mp4')) as container:
        frames = [(frame.time, float(frame.duration * frame.time_base)) for frame in container.decode(video=0)]
        assert not container.streams.audio
    assert [time for time, _ in frames] == pytest.approx(np.cumsum([0, *DURATIONS[:-1]]) / 1000, abs=1e-3)
    assert frames[-1][1] == pytest.approx(0.3, abs=1e-3) and report.frames == 4 and report.notes == []
    for before, after in zip(decoded, images_of(tmp_path / 'out.mp4')):
        assert luma_difference(after, before) < (9 if name == 'a.gif' else 3)  # a GIF has 256 colors


def test_transparent_animations_and_missing_durations(tmp_path):
    assert passing_engine().convert(CASES / 'animated.gif', tmp_path / 'out.mp4').frames == 6
    clear, red = (Image.new('RGBA', (32, 32), color) for color in ((255, 0, 255, 0), (255, 0, 0, 255)))
    clear.save(tmp_path / 'a.png', save_all=True, append_images=[red], duration=0)
    frames = list(open_clip(tmp_path / 'a.png').frames())
    assert (frames[0].image == 255).all() and (frames[1].image == (255, 0, 0)).all(), 'transparent pixels become white'
    assert [frame.stamp for frame in frames] == [0, 100], 'default duration of browsers'


def test_still_and_damaged_animations(tmp_path):
    Image.fromarray(photo(32, 32)).save(tmp_path / 'still.gif')
    (tmp_path / 'notes.gif').write_text('GIF89a')
    data = (CASES / 'animated.gif').read_bytes()
    assert not any(map(is_animated, (tmp_path / 'still.gif', tmp_path / 'notes.gif', tmp_path / 'none.gif', CASES / 'gray.mp4')))
    (tmp_path / 'cut.gif').write_bytes(data[:len(data) // 2])
    clip = Animation(tmp_path / 'cut.gif')
    assert 0 < len(list(clip.frames())) < 6
    report = passing_engine().convert(tmp_path / 'cut.gif', tmp_path / 'out.mp4')
    assert report.frames and clip.format.time_base == Fraction(1, 1000)
