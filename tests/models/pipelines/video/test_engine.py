"""Videos: nothing of them is lost, the same person stays the same, and what was interrupted goes on."""
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from models.perception.detection import Detector
from models.pipelines.io.provenance import GenerationInfo, inspect
from models.pipelines.video import engine as video
from models.pipelines.video.camera import Camera, Recording
from models.pipelines.video.clip import Clip
from models.pipelines.video.engine import StageTimer, VideoEngine, run_stages
from models.pipelines.video.smoothing import OneEuroFilter, TemporalSmoothing
from models.pipelines.video.tracking import Tracker
from tests.models.pipelines.video.stubs import passing_engine
from tests.models.stubs import face_at, photo

RED, BLUE = (230, 20, 20), (20, 20, 230)
STEADY, UNSTEADY = [40 * i for i in range(24)], [0, 40, 90, 130, 210, 220, 300, 345, 390, 500, 540, 583]  # milliseconds


class Discs(Detector):
    """Finds red and blue discs."""

    def __init__(self):
        self.asked = 0

    def search_around(self, image, face):
        return None

    def detect(self, image, *, turned=True):
        self.asked += 1
        found, pixels = [], image.astype(int)
        for strong, weak in ((0, 2), (2, 0)):
            y, x = np.nonzero(pixels[..., strong] - pixels[..., weak] > 150)
            if len(x):
                found.append(face_at(x.mean(), y.mean(), np.sqrt(len(x) / np.pi) + 4))
        return sorted(found, key=lambda face: -face.area)


def embed_color(image, faces):
    """The stand-in for an identity: the color at the nose."""
    colors = [image[tuple(np.clip(face.points[2].round().astype(int)[::-1], 0, np.array(image.shape[:2]) - 1))]
               for face in faces]
    return torch.nn.functional.normalize(torch.tensor(np.array(colors), dtype=torch.float32), dim=1)


def scene(*discs, height=72, width=96, seed=0):
    """discs: x, y, radius, color."""
    image = (photo(height, width, seed) // 4 + 90).astype(np.uint8)
    yy, xx = np.mgrid[:height, :width]
    for x, y, radius, color in discs:
        image[np.hypot(xx - x, yy - y) < radius] = color
    return image


def moving(count):
    return [scene((20 + 2 * i, 30 + i % 3, 9, RED)) for i in range(count)]


def written(path, images, times=None, *, turn=0, sound=False):
    """A video without loss; times in milliseconds."""
    times = times or [40 * i for i in range(len(images))]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options={'crf': '0', 'preset': 'ultrafast'})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = 'yuv420p', Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(turn)
        voice = container.add_stream('aac', rate=16000, layout='mono') if sound else None
        for moment, image in zip(times, images):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice:
            noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 16000 * times[-1] // 1000)).astype(np.float32)
            block = av.AudioFrame.from_ndarray(noise, format='fltp', layout='mono')
            block.sample_rate = 16000
            container.mux(voice.encode(block))
            container.mux(voice.encode())
    return path


def moments(path):
    with av.open(str(path)) as container:
        return [round(1000 * frame.time) for frame in container.decode(video=0)]


def sounds(path):
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts * packet.time_base) for packet in container.demux(container.streams.audio)
                if packet.size]


def images_of(path):
    return [frame.image for frame in Clip(path).frames()]


def engine(make=None, *, tracker=None, **more):
    def white(faces):
        side = faces.crops.shape[-1]
        return torch.ones_like(faces.crops), torch.ones(len(faces.crops), 1, side, side)

    return VideoEngine(make or white, 32, tracker or Tracker(Discs(), embed_color), **more)


@pytest.mark.parametrize('times', [STEADY, UNSTEADY])
def test_every_frame_its_time_and_the_sound_are_kept(tmp_path, times):
    clip_file = written(tmp_path / 'a.mp4', moving(len(times)), times, sound=True)
    report = engine().convert(clip_file, tmp_path / 'out.mp4')
    assert moments(tmp_path / 'out.mp4') == times and report.frames == report.faces == len(times)
    assert sounds(tmp_path / 'out.mp4') == sounds(clip_file) and len(sounds(clip_file)) > 5
    for before, after, number in zip(images_of(clip_file), images_of(tmp_path / 'out.mp4'), range(99)):
        assert after[30, 20 + 2 * number].min() > 200 and before[30, 20 + 2 * number].min() < 100, 'the face is made anew'
        assert np.abs(after[:, -12:].astype(int) - before[:, -12:]).mean() < 4, 'the rest is as it was'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.mp4', 'out.mp4']


@pytest.mark.parametrize('turn', [90, 180, -90])
def test_a_turned_video_is_set_upright(tmp_path, turn):
    upright = [scene((30, 40, 12, RED), seed=i) for i in range(5)]
    clip_file = written(tmp_path / 'a.mp4', [np.ascontiguousarray(np.rot90(image, -turn // 90)) for image in upright], turn=turn)
    seen = []
    tracker = Tracker(Discs(), lambda image, faces: seen.append(image.shape) or embed_color(image, faces))
    engine(tracker=tracker).convert(clip_file, tmp_path / 'out.mp4')
    found = images_of(tmp_path / 'out.mp4')
    assert seen[0] == found[0].shape == upright[0].shape
    for before, after in zip(upright, found):
        assert after[40, 30].min() > 200 and np.abs(after[:, -25:].astype(int) - before[:, -25:]).mean() < 5


def test_frames_without_a_face_pass_unchanged(tmp_path):
    clip_file = written(tmp_path / 'a.mp4', [scene(seed=i) for i in range(3)] + [scene((30, 30, 9, RED))])
    engine(quality=0).convert(clip_file, tmp_path / 'out.mp4')
    same = [(a == b).all() for a, b in zip(images_of(clip_file), images_of(tmp_path / 'out.mp4'))]
    assert same == [True, True, True, False]


def test_an_interrupted_video_becomes_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr(video, 'CHUNKS_PER_SEGMENT', 2)
    monkeypatch.setattr(video, 'DETECTION_INTERVAL', 4)
    clip_file = written(tmp_path / 'a.mp4', moving(30), sound=True)
    made = []

    def make(faces):
        made.append(len(faces.crops))
        shown = (faces.crops * 0.5).clamp(-1, 1)
        return shown, torch.ones(len(shown), 1, 32, 32)

    whole = engine(make, color=True).convert(clip_file, tmp_path / 'whole.mp4')
    assert whole.completed and sum(made) == 30
    halves = engine(make, color=True)
    seen = []
    first = halves.convert(clip_file, tmp_path / 'out.mp4', progress=lambda done, count: seen.append((done, count)),
                           stop=lambda: seen[-1][0] >= 20)
    assert not first.completed and seen[-1] == (20, 30) and not (tmp_path / 'out.mp4').exists()
    (tmp_path / 'out.mp4.parts' / 'current.mp4').write_bytes(b'left by a crash')
    with pytest.raises(ValueError, match='another job'):
        engine(make, color=True).convert(clip_file, tmp_path / 'out.mp4', settings={'face': '1'})
    made.clear()
    second = engine(make, color=True).convert(clip_file, tmp_path / 'out.mp4')
    assert second.completed and second.resumed_frames == 16 and sum(made) == second.frames == 14
    assert (tmp_path / 'out.mp4').read_bytes() == (tmp_path / 'whole.mp4').read_bytes()
    assert not (tmp_path / 'out.mp4.parts').exists()


def test_broken_videos_are_one_sentence(tmp_path):
    written(tmp_path / 'whole.mp4', moving(20), sound=True)
    data = (tmp_path / 'whole.mp4').read_bytes()
    (tmp_path / 'notes.mp4').write_text('no video')
    (tmp_path / 'half.mp4').write_bytes(data[:len(data) // 2])
    with av.open(str(tmp_path / 'whole.mp4')) as source, av.open(str(tmp_path / 'voice.mp4'), 'w') as voice:
        stream = voice.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                voice.mux(packet)
    for name, word in (('absent.mp4', 'no file'), ('notes.mp4', 'cannot be read'), ('half.mp4', 'cannot be read'),
                       ('voice.mp4', 'no images')):
        with pytest.raises(ValueError, match=word) as caught:
            engine().convert(tmp_path / name, tmp_path / 'out.mp4')
        assert '\n' not in str(caught.value) and name in str(caught.value)
    with pytest.raises(ValueError, match='.mp4'):
        engine().convert(tmp_path / 'whole.mp4', tmp_path / 'out.avi')


def test_a_video_says_that_it_was_made(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))
    generation_info = GenerationInfo('cvae', {}, 'faces were replaced')
    engine().convert(written(tmp_path / 'a.mp4', moving(4)), tmp_path / 'out.mp4', generation_info=generation_info)
    found = inspect(tmp_path / 'out.mp4')
    assert found.intact and found.generation_info == generation_info and found.title == 'out.mp4'
    assert moments(tmp_path / 'out.mp4') == [0, 40, 80, 120]


# Who is who

def follow(tracker, images, at=0):
    return tracker.follow(images, [0.04 * (at + i) for i in range(len(images))])


def test_a_face_is_followed_back_to_where_it_came_into_view():
    images = [scene((40, 30, 9, RED)) if i >= 5 else scene() for i in range(12)]
    tracker = Tracker(Discs(), embed_color)
    assert [len(row) for row in follow(tracker, images)] == [0] * 5 + [1] * 7
    rows = follow(tracker, [scene((40, 30, 9, RED)) if i < 4 else scene() for i in range(12)], 12)
    assert [len(row) for row in rows] == [1] * 4 + [0] * 8


def test_the_same_person_stays_the_same():
    """The larger of two, who are told apart by color, is meant even when he is the smaller one, leaves, and comes back."""
    both = [scene((25, 30, 12, RED), (70, 40, 8, BLUE))] * 3
    turned = [scene((25, 30, 6, RED), (70, 40, 14, BLUE))] * 3
    alone = [scene((70, 40, 14, BLUE))] * 6
    back = [scene((80, 20, 8, RED), (30, 45, 12, BLUE))] * 3
    for choice, x in (('largest', (25, 25, None, 80)), ('1', (70, 70, 70, 30))):
        tracker = Tracker(Discs(), embed_color, choice=choice)
        for images, place in zip((both, turned, alone, back), x):
            for row in follow(tracker, images):
                assert [seen.points[:, 0].mean() for seen in row] == ([] if place is None else [pytest.approx(place, abs=6)])
    rows = follow(Tracker(Discs(), embed_color, choice='all'), both)
    assert [len(row) for row in rows] == [2, 2, 2]


def test_references_have_their_roles():
    known = torch.nn.functional.normalize(torch.tensor([BLUE, (20, 230, 20), RED], dtype=torch.float32), dim=1)
    rows = follow(Tracker(Discs(), embed_color, references=known), [scene((25, 30, 12, RED), (70, 40, 8, BLUE))] * 2)
    assert [[seen.reference_index for seen in row] for row in rows] == [[2, 0], [2, 0]]
    rows = follow(Tracker(Discs(), embed_color, references=known[:1]), [scene((25, 30, 12, RED))] * 2)
    assert rows == [[], []]


def test_smoothing_begins_anew_after_a_cut():
    tracker = Tracker(Discs(), embed_color)
    before = follow(tracker, [scene((30, 30, 9, RED))] * 12)
    light = scene((36, 30, 9, RED), seed=5)
    light[light[..., 0] < 200] = 250
    after = follow(tracker, [light] * 12, 12)
    assert after[0][0].track != before[-1][0].track
    np.testing.assert_allclose(after[0][0].points, Discs().detect(light)[0].points, atol=1e-4)


def test_a_tracker_goes_on_from_its_state(tmp_path):
    images = moving(36)
    whole = Tracker(Discs(), embed_color)
    expected = [follow(whole, images[at:at + 12], at) for at in (0, 12, 24)]
    first, second = Tracker(Discs(), embed_color), Tracker(Discs(), embed_color)
    follow(first, images[:12])
    torch.save(first.state(), tmp_path / 'state.pt')
    second.restore(torch.load(tmp_path / 'state.pt', weights_only=True))
    for at, rows in zip((12, 24), expected[1:]):
        for row, other in zip(follow(second, images[at:at + 12], at), rows):
            assert [seen.track for seen in row] == [seen.track for seen in other]
            np.testing.assert_array_equal(row[0].points, other[0].points)


# Steadiness

def test_the_one_euro_filter_calms_what_rests_and_follows_what_moves():
    noise = np.random.default_rng(0).normal(0, 1, (100, 5, 2))
    still, rested = OneEuroFilter(), []
    for value in noise:
        rested.append(still(value + 50, 0.04, 100))
    assert np.std(rested[20:], axis=0).mean() < 0.6
    quick = OneEuroFilter()
    for step in range(50):
        value = np.full((5, 2), 12.0 * step)
        found = quick(value, 0.04, 100)
    assert np.abs(found - value).max() < 12, 'less than a frame late'
    assert (OneEuroFilter()(noise[0], 0.0, 100) == noise[0].astype(np.float32)).all(), 'the first value is itself'


def test_temporal_blending_holds_what_stands_still_and_no_more():
    steady, still, rest = TemporalSmoothing(), np.zeros((32, 32, 3), np.float32), []
    flicker = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 32, 32, 3)).astype(np.float32)
    for made in flicker:
        rest.append(steady.smooth_face(still, made))
    assert np.abs(np.diff(rest[5:], axis=0)).mean() < 0.6 * np.abs(np.diff(flicker[5:], axis=0)).mean()
    moved = still.copy()
    moved[:16] = 1
    after = steady.smooth_face(moved, np.ones((32, 32, 3), np.float32))
    assert after[:10].min() > 0.99 and after[24:].max() < 0.7


# Stages and cameras

def test_stages_overlap_and_errors_come_through():
    meeting = threading.Barrier(2)  # of the first stage's second item and the second stage's first: only if both are at work

    def step(item):
        if item == 1:
            meeting.wait(60)
        return item + 1

    clocks = [StageTimer() for _ in range(3)]
    assert list(run_stages(range(20), [(step, clock) for clock in clocks[1:]], clocks[0])) == list(range(2, 22))

    def refuse(item):
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        list(run_stages(iter([1, 2]), [(str, StageTimer()), (refuse, StageTimer())], StageTimer()))


def test_signing_is_checked_before_the_work(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file'))
    clip = written(tmp_path / 'a.mp4', moving(3))
    with pytest.raises(ValueError, match='XDG_CONFIG_HOME'):
        passing_engine().convert(clip, tmp_path / 'out.mp4', generation_info=GenerationInfo('cvae', {}, 'done'),
                                 progress=lambda done, count: pytest.fail('begun'))
    assert {path.name for path in tmp_path.iterdir()} == {'file', 'a.mp4'}


def test_few_items_exist_at_a_time():
    made, most, taken = [], [], 0

    def source():
        for number in range(40):
            made.append(number)
            yield number

    for _ in run_stages(source(), [(lambda item: item, StageTimer()) for _ in range(3)], StageTimer()):
        time.sleep(0.01)  # the caller is the slowest
        taken += 1
        most.append(len(made) - taken)
    assert taken == 40 and max(most) <= 5


def test_a_video_stands_in_for_a_camera(tmp_path):
    clip_file = written(tmp_path / 'a.mp4', moving(15))
    camera, sink = Camera(str(clip_file)), Recording(tmp_path / 'out.mp4', 25)
    report = engine().live(camera, sink)
    camera.close()
    sink.close()
    found = images_of(tmp_path / 'out.mp4')
    assert 0 < report.frames == len(found) == 15 - camera.dropped
    assert all((image[20:45].min(2) > 200).sum() > 50 for image in found), 'the face is made anew'
    with pytest.raises(ValueError, match='no camera'):
        Camera(str(tmp_path / 'absent.mp4'))
