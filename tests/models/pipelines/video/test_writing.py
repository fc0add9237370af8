"""Errors of reading and writing videos: messages, cleanup and recovery."""
import os
import subprocess
from fractions import Fraction
from functools import partial
from unittest.mock import Mock

import av
import numpy as np
import pytest

from models.pipelines.io.provenance import GenerationInfo, ProvenanceError, inspect
from models.pipelines.video import engine as video
from models.pipelines.video import mux
from models.pipelines.video.camera import Recording
from models.pipelines.video.clip import Clip
from models.pipelines.video.segments import segments_folder
from models.storage.files import WriteError, temporary_path
from tests.models.pipelines.video.stubs import CODECS, encode, images, passing_engine

INFO = GenerationInfo('cvae', {}, 'faces were replaced')


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path_factory.mktemp('home')))


@pytest.fixture
def source(tmp_path):
    return encode(tmp_path / 'in.mp4', images(6), [40 * i for i in range(6)])


@pytest.fixture
def mounted(tmp_path):
    """mounted(options) -> folder of an empty file system in memory."""
    folders = []

    def mount(options):
        folder = tmp_path / 'disk'
        folder.mkdir(exist_ok=True)
        result = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder], capture_output=True)
        if result.returncode:
            pytest.skip('mounting a file system requires root')
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(['umount', '-l', folder], check=True)


def test_names_of_maximum_length_are_written(tmp_path, source):
    for name in ('a' * 251 + '.mp4', 'あ' * 83 + '.mp4', 'b' * 245 + '.mp4'):
        for generation_info in (None, INFO):
            passing_engine().convert(source, tmp_path / name, generation_info=generation_info)
            assert Clip(tmp_path / name).frame_count == 6
            (tmp_path / name).unlink()
        folder = segments_folder(tmp_path / name)
        assert len(os.fsencode(folder.name)) <= 255 and folder != segments_folder(tmp_path / f'{name[1:]}')
    assert os.listdir(tmp_path) == ['in.mp4']


def test_unwritable_outputs_raise_before_the_conversion(tmp_path, source, mounted):
    finished = []
    engine = passing_engine(finish=finished.append)
    (tmp_path / 'file').write_text('no folder')
    (tmp_path / 'folder.mp4').mkdir()
    readonly = mounted('ro')
    for output, message in ((tmp_path / ('c' * 252 + '.mp4'), 'too long'), (tmp_path / 'file' / 'out.mp4', 'not a folder'),
                            (tmp_path / 'folder.mp4', 'is a folder'), (readonly / 'out.mp4', 'read-only')):
        for write in (partial(engine.convert, source), partial(Recording, rate=25)):
            with pytest.raises(WriteError, match=message) as caught:
                write(output)
            assert '\n' not in str(caught.value) and not finished
    assert sorted(os.listdir(tmp_path)) == ['disk', 'file', 'folder.mp4', 'in.mp4']


@pytest.mark.parametrize('levels', [5, pytest.param(60, marks=pytest.mark.slow)])
def test_conversion_resumes_after_a_full_disk(tmp_path, monkeypatch, mounted, levels):
    """At any fill level, a later call with enough space writes the same file as an uninterrupted conversion."""
    monkeypatch.setattr(video, 'CHUNKS_PER_SEGMENT', 2)
    monkeypatch.setattr(video, 'DETECTION_INTERVAL', 4)
    rng, size = np.random.default_rng(0), 1 << 20
    noise = list(rng.integers(0, 255, (32, 64, 64, 3), dtype=np.uint8))
    source = encode(tmp_path / 'in.mp4', noise, [40 * i for i in range(32)], sound=(0, 1.2))
    expected, disk, errors = tmp_path / 'expected.mp4', mounted(f'size={size}'), 0
    passing_engine(quality=8).convert(source, expected)
    for level in np.linspace(0.35, 0.99, levels):
        for generation_info in (None, INFO):
            output, ballast = disk / 'out.mp4', disk / 'ballast'
            ballast.write_bytes(bytes(int(level * size) // 4096 * 4096))
            try:
                passing_engine(quality=8).convert(source, output, generation_info=generation_info)
            except WriteError as error:
                errors += 1
                assert 'full' in str(error) and '.tmp' not in str(error) and '\n' not in str(error)
                left = [path.name for path in disk.rglob('*') if path.is_file()]
                assert not [name for name in left if name.startswith('.')] and 'out.mp4' not in left
                assert sum(name.endswith('.mp4') for name in left) == sum(name.endswith('.pt') for name in left)
                ballast.unlink()
                passing_engine(quality=8).convert(source, output, generation_info=generation_info)
            assert inspect(output).intact if generation_info else output.read_bytes() == expected.read_bytes()
            output.unlink()
            ballast.unlink(missing_ok=True)
            assert not list(disk.iterdir())
    assert errors > levels / 2


def test_temporary_files_of_ended_processes_are_removed(tmp_path, source):
    ended = subprocess.Popen(['true'])
    ended.wait()
    output, folder = tmp_path / 'out.mp4', tmp_path / 'out.mp4.parts'
    folder.mkdir()
    for path in (output, folder / '00000.mp4', tmp_path / 'recording'):
        temporary_path(path).with_name(temporary_path(path).name.replace(f'-{os.getpid()}.', f'-{ended.pid}.')).write_text('old')
    temporary_path(tmp_path / 'other.mp4').write_text('of a running process')
    passing_engine().convert(source, output)
    assert sorted(os.listdir(tmp_path)) == sorted([temporary_path(tmp_path / 'other.mp4').name, 'in.mp4', 'out.mp4'])


def test_failed_recording_leaves_no_files(tmp_path, monkeypatch):
    recording = Recording(tmp_path / 'out.mp4', 25)
    recording(0.0, images(1)[0])
    monkeypatch.setattr('models.pipelines.video.mux.os.replace', lambda *paths: (_ for _ in ()).throw(OSError(28, 'no space')))
    with pytest.raises(WriteError, match='full'):
        recording.close()
    assert os.listdir(tmp_path) == []


# Damaged videos

@pytest.mark.parametrize('suffix, change, message', [
    ('mp4', lambda data: data.replace(b'avc1', b'zzzz'), 'codec'),
    ('mkv', lambda data: data.replace(b'V_MPEG4/ISO/AVC', b'V_MPEG4/ISO/AVX'), 'codec'),
    ('mp4', lambda data: data[:40], 'cannot be read'),
    ('avi', lambda data: data.replace(b'FMP4', b'ZZZZ').replace(b'fmp4', b'ZZZZ'), 'codec')])
def test_unsupported_and_truncated_files_raise(tmp_path, suffix, change, message):
    path = encode(tmp_path / f'in.{suffix}', images(4), list(range(4)), Fraction(1, 25))
    data = path.read_bytes()
    assert change(data) != data
    path.write_bytes(change(data))
    with pytest.raises(ValueError, match=message) as caught:
        passing_engine().convert(path, tmp_path / 'out.mp4')
    assert '\n' not in str(caught.value) and os.listdir(tmp_path) == [path.name]


def test_audio_of_an_unknown_codec_is_dropped_with_a_note(tmp_path):
    path = encode(tmp_path / 'in.mkv', images(4), [0, 40, 80, 120], sound=(0, 0.2))
    path.write_bytes(path.read_bytes().replace(b'A_AAC', b'A_XXX'))
    report = passing_engine().convert(path, tmp_path / 'out.mp4')
    assert any('left out' in note for note in report.notes)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert not container.streams.audio and container.streams.video[0].frames == 4


@pytest.mark.parametrize('count', [24, pytest.param(1500, marks=pytest.mark.slow)])
def test_mutated_videos_are_converted_or_raise(tmp_path, count):
    """Flipped bits, truncation and extreme header fields; no files are left."""
    rng = np.random.default_rng(3)
    sources = [encode(tmp_path / f's.{suffix}', images(4), list(range(4)), Fraction(1, 25), sound=(0, 0.2))
               for suffix in CODECS]
    before = sorted(os.listdir(tmp_path))
    for number in range(count):
        source = sources[number % len(sources)]
        data = bytearray(source.read_bytes())
        mutation, at = rng.integers(3), int(rng.integers(len(data)))
        if mutation == 0:
            for position in rng.integers(0, len(data), 12):
                data[position] ^= 1 << rng.integers(8)
        elif mutation == 1:
            del data[at:at + int(rng.integers(1, len(data)))]
        else:
            data[at:at + 4] = int(rng.choice([0, 1, 0x7fffffff, 0xffffffff, 0x80000000])).to_bytes(4, 'big')
        path, output = tmp_path / f'changed{source.suffix}', tmp_path / 'out.mp4'
        path.write_bytes(data)
        try:
            report = passing_engine().convert(path, output)
            with av.open(str(output)) as container:
                assert sum(1 for _ in container.decode(video=0)) == report.frames
        except ValueError as error:
            assert '\n' not in str(error) and path.name in str(error), f'{number}: {error!r}'
        path.unlink()
        output.unlink(missing_ok=True)
        assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize('is_refused, codecs', [(lambda audio: any(audio.copied.values()), ['aac']),
                                                (lambda audio: audio.copied, [])])
def test_audio_that_the_muxer_refuses_is_reencoded_or_dropped(tmp_path, monkeypatch, is_refused, codecs):
    def join(segments, stamps, end, video_format, output, audio, generation_info):
        if is_refused(audio):
            raise mux.EncodeError('invalid data')  # as for some damaged audio on closing the file
        return original(segments, stamps, end, video_format, output, audio, generation_info)

    original = mux._join
    monkeypatch.setattr(mux, '_join', join)
    path = encode(tmp_path / 'in.webm', images(4), [0, 40, 80, 120], sound=(0, 0.2))
    report = passing_engine().convert(path, tmp_path / 'out.mp4')
    assert report.frames == 4 and any('sound' in note and 'MP4' in note for note in report.notes)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == codecs
    assert sorted(os.listdir(tmp_path)) == ['in.webm', 'out.mp4']


def test_conversion_resumes_after_a_failed_signature(tmp_path, monkeypatch):
    path = encode(tmp_path / 'in.mkv', images(4), [0, 40, 80, 120], sound=(0, 0.2))
    with monkeypatch.context() as patch:
        patch.setattr(mux, 'sign', Mock(side_effect=ProvenanceError('the signature failed')))
        with pytest.raises(ProvenanceError, match='the signature failed'):
            passing_engine().convert(path, tmp_path / 'out.mp4', generation_info=INFO)
    assert sorted(os.listdir(tmp_path)) == ['in.mkv', 'out.mp4.parts']
    report = passing_engine().convert(path, tmp_path / 'out.mp4', generation_info=INFO)
    assert (report.resumed_frames, report.frames, report.notes) == (4, 0, []) and inspect(tmp_path / 'out.mp4').intact
