"""Conversion of videos: frames, time stamps, audio, and resumption of interrupted conversions."""
import io

import av
import numpy as np
import pytest
import torch

from configs import renamed
from models.pipelines.io.provenance import GenerationInfo, inspect
from models.pipelines.video import engine as video
from models.pipelines.video.camera import Camera, Recording
from models.pipelines.video.tracking import Tracker
from tests.models.pipelines.video.stubs import (
    RED,
    Discs,
    disc_engine,
    embed_color,
    encode_lossless,
    images_of,
    moving,
    passing_engine,
    scene,
)

CONSTANT, VARIABLE = [40 * i for i in range(24)], [0, 40, 90, 130, 210, 220, 300, 345, 390, 500, 540, 583]  # milliseconds


def times_of(path):
    """Times of the frames in milliseconds."""
    with av.open(str(path)) as container:
        return [round(1000 * frame.time) for frame in container.decode(video=0)]


def audio_of(path):
    """Audio packets and their times in seconds."""
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts * packet.time_base) for packet in container.demux(container.streams.audio)
                if packet.size]


@pytest.mark.parametrize('times', [CONSTANT, VARIABLE])
def test_frame_times_and_audio_are_preserved(tmp_path, times):
    source = encode_lossless(tmp_path / 'a.mp4', moving(len(times)), times, sound=True)
    report = disc_engine().convert(source, tmp_path / 'out.mp4')
    assert times_of(tmp_path / 'out.mp4') == times and report.frames == report.faces == len(times)
    assert audio_of(tmp_path / 'out.mp4') == audio_of(source) and len(audio_of(source)) > 5
    for number, (before, after) in enumerate(zip(images_of(source), images_of(tmp_path / 'out.mp4'))):
        assert after[30, 20 + 2 * number].min() > 200 and before[30, 20 + 2 * number].min() < 100, 'the face is replaced'
        assert np.abs(after[:, -12:].astype(int) - before[:, -12:]).mean() < 4, 'the rest is unchanged'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.mp4', 'out.mp4']


@pytest.mark.parametrize('rotation', [90, 180, -90])
def test_rotated_video_becomes_upright(tmp_path, rotation):
    upright = [scene((30, 40, 12, RED), seed=i) for i in range(5)]
    rotated = [np.ascontiguousarray(np.rot90(image, -rotation // 90)) for image in upright]
    source, shapes = encode_lossless(tmp_path / 'a.mp4', rotated, rotation=rotation), []
    tracker = Tracker(Discs(), lambda image, faces: shapes.append(image.shape) or embed_color(image, faces))
    disc_engine(tracker=tracker).convert(source, tmp_path / 'out.mp4')
    outputs = images_of(tmp_path / 'out.mp4')
    assert shapes[0] == outputs[0].shape == upright[0].shape
    for before, after in zip(upright, outputs):
        assert after[40, 30].min() > 200 and np.abs(after[:, -25:].astype(int) - before[:, -25:]).mean() < 5


def test_frames_without_a_face_are_unchanged(tmp_path):
    source = encode_lossless(tmp_path / 'a.mp4', [scene(seed=i) for i in range(3)] + [scene((30, 30, 9, RED))])
    disc_engine(quality=0).convert(source, tmp_path / 'out.mp4')
    same = [(before == after).all() for before, after in zip(images_of(source), images_of(tmp_path / 'out.mp4'))]
    assert same == [True, True, True, False]


@pytest.fixture
def short_segments(monkeypatch):
    """Segments of 8 frames."""
    monkeypatch.setattr(video, 'CHUNKS_PER_SEGMENT', 2)
    monkeypatch.setattr(video, 'DETECTION_INTERVAL', 4)


@pytest.fixture
def darken():
    """An engine that darkens faces, and the numbers of faces of its calls."""
    counts = []

    def generate_faces(faces):
        counts.append(len(faces.crops))
        return (faces.crops * 0.5).clamp(-1, 1), torch.ones(len(faces.crops), 1, 32, 32)

    return (lambda: disc_engine(generate_faces, color=True)), counts


def interrupt(engine, source, output):
    """Convert up to 20 frames."""
    done = []
    report = engine.convert(source, output, progress=lambda frames, count: done.append((frames, count)),
                            stop=lambda: done[-1][0] >= 20)
    assert not report.completed and done[-1] == (20, 30) and not output.exists()


def test_interrupted_conversion_resumes_bit_exactly(tmp_path, short_segments, darken):
    engine, counts = darken
    source, output = encode_lossless(tmp_path / 'a.mp4', moving(30), sound=True), tmp_path / 'out.mp4'
    uninterrupted = engine().convert(source, tmp_path / 'uninterrupted.mp4')
    assert uninterrupted.completed and sum(counts) == 30
    interrupt(engine(), source, output)
    (tmp_path / 'out.mp4.parts' / 'current.mp4').write_bytes(b'left by a crash')
    with pytest.raises(ValueError, match='another video'):
        engine().convert(source, output, settings={'face': '1'})
    counts.clear()
    resumed = engine().convert(source, output)
    assert resumed.completed and resumed.resumed_frames == 16 and sum(counts) == resumed.frames == 14
    assert output.read_bytes() == (tmp_path / 'uninterrupted.mp4').read_bytes()
    assert not (tmp_path / 'out.mp4.parts').exists()


def test_conversion_of_an_earlier_version_resumes_bit_exactly(tmp_path, short_segments, darken):
    """The states of earlier versions have other keys."""
    earlier_keys = {new: old for old, new in renamed._VIDEO_STATE.items()}

    def to_earlier(state):
        if isinstance(state, dict):
            return {earlier_keys.get(key, key): to_earlier(value) for key, value in state.items()}
        return [to_earlier(value) for value in state] if isinstance(state, list) else state

    engine, _ = darken
    source, output = encode_lossless(tmp_path / 'a.mp4', moving(30), sound=True), tmp_path / 'out.mp4'
    engine().convert(source, tmp_path / 'uninterrupted.mp4')
    interrupt(engine(), source, output)
    for file in sorted((tmp_path / 'out.mp4.parts').glob('*.pt')):
        buffer = io.BytesIO()
        torch.save(to_earlier(torch.load(file, weights_only=True)), buffer)
        assert set(earlier_keys.values()) & set(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
        file.write_bytes(buffer.getvalue())
    assert engine().convert(source, output).resumed_frames == 16
    assert output.read_bytes() == (tmp_path / 'uninterrupted.mp4').read_bytes()


def test_unreadable_videos_raise_one_sentence(tmp_path):
    encode_lossless(tmp_path / 'whole.mp4', moving(20), sound=True)
    data = (tmp_path / 'whole.mp4').read_bytes()
    (tmp_path / 'notes.mp4').write_text('no video')
    (tmp_path / 'half.mp4').write_bytes(data[:len(data) // 2])
    with av.open(str(tmp_path / 'whole.mp4')) as source, av.open(str(tmp_path / 'voice.mp4'), 'w') as voice:
        stream = voice.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                voice.mux(packet)
    for name, message in (('absent.mp4', 'no file'), ('notes.mp4', 'cannot be read'), ('half.mp4', 'cannot be read'),
                          ('voice.mp4', 'no images')):
        with pytest.raises(ValueError, match=message) as caught:
            disc_engine().convert(tmp_path / name, tmp_path / 'out.mp4')
        assert '\n' not in str(caught.value) and name in str(caught.value)
    with pytest.raises(ValueError, match='.mp4'):
        disc_engine().convert(tmp_path / 'whole.mp4', tmp_path / 'out.avi')


def test_output_has_content_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))
    generation_info = GenerationInfo('cvae', {}, 'faces were replaced')
    source = encode_lossless(tmp_path / 'a.mp4', moving(4))
    disc_engine().convert(source, tmp_path / 'out.mp4', generation_info=generation_info)
    credentials = inspect(tmp_path / 'out.mp4')
    assert credentials.intact and credentials.generation_info == generation_info and credentials.title == 'out.mp4'
    assert times_of(tmp_path / 'out.mp4') == [0, 40, 80, 120]


def test_signing_is_checked_before_the_conversion(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('no folder')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path / 'file'))
    source = encode_lossless(tmp_path / 'a.mp4', moving(3))
    with pytest.raises(ValueError, match='XDG_CONFIG_HOME'):
        passing_engine().convert(source, tmp_path / 'out.mp4', generation_info=GenerationInfo('cvae', {}, 'test'),
                                 progress=lambda done, count: pytest.fail('the conversion has begun'))
    assert {path.name for path in tmp_path.iterdir()} == {'file', 'a.mp4'}


def test_video_file_as_a_camera(tmp_path):
    camera = Camera(str(encode_lossless(tmp_path / 'a.mp4', moving(15))))
    recording = Recording(tmp_path / 'out.mp4', 25)
    report = disc_engine().live(camera, recording)
    camera.close()
    recording.close()
    frames = images_of(tmp_path / 'out.mp4')
    assert 0 < report.frames == len(frames) == 15 - camera.dropped
    assert all((image[20:45].min(2) > 200).sum() > 50 for image in frames), 'the face is replaced'
    with pytest.raises(ValueError, match='no camera'):
        Camera(str(tmp_path / 'absent.mp4'))
