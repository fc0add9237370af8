"""Videos that cannot be read or written: one sentence, nothing lost, nothing left."""
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

MAKING = GenerationInfo('cvae', {}, 'faces were replaced')


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path_factory.mktemp('home')))


@pytest.fixture
def source(tmp_path):
    return encode(tmp_path / 'in.mp4', images(6), [40 * i for i in range(6)])


@pytest.fixture
def mounted(tmp_path):
    """mount(options) -> an empty file system in memory."""
    folders = []

    def mount(options):
        folder = tmp_path / 'disk'
        folder.mkdir(exist_ok=True)
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder], capture_output=True)
        if done.returncode:
            pytest.skip('mounting a small disk takes root')
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(['umount', '-l', folder], check=True)


def test_names_as_long_as_the_file_system_takes(tmp_path, source):
    for name in ('a' * 251 + '.mp4', 'あ' * 83 + '.mp4', 'b' * 245 + '.mp4'):
        for generation_info in (None, MAKING):
            passing_engine().convert(source, tmp_path / name, generation_info=generation_info)
            assert Clip(tmp_path / name).frame_count == 6
            (tmp_path / name).unlink()
        parts = segments_folder(tmp_path / name)
        assert len(os.fsencode(parts.name)) <= 255 and parts != segments_folder(tmp_path / f'{name[1:]}')
    assert os.listdir(tmp_path) == ['in.mp4']


def test_what_cannot_be_written_is_known_before_the_work(tmp_path, source, mounted):
    asked = []
    engine = passing_engine(finish=asked.append)
    (tmp_path / 'file').write_text('in the way')
    (tmp_path / 'folder.mp4').mkdir()
    readonly = mounted('ro')
    for output, word in ((tmp_path / ('c' * 252 + '.mp4'), 'too long'), (tmp_path / 'file' / 'out.mp4', 'not a folder'),
                         (tmp_path / 'folder.mp4', 'is a folder'), (readonly / 'out.mp4', 'read-only')):
        for begin in (partial(engine.convert, source), partial(Recording, rate=25)):
            with pytest.raises(WriteError, match=word) as caught:
                begin(output)
            assert '\n' not in str(caught.value) and not asked
    assert sorted(os.listdir(tmp_path)) == ['disk', 'file', 'folder.mp4', 'in.mp4']


@pytest.mark.parametrize('levels', [5, pytest.param(60, marks=pytest.mark.slow)])
def test_a_full_disk(tmp_path, monkeypatch, mounted, levels):
    """At any fill level a sentence, and when there is space again, the same command ends as an undisturbed one."""
    monkeypatch.setattr(video, 'CHUNKS_PER_SEGMENT', 2)
    monkeypatch.setattr(video, 'DETECTION_INTERVAL', 4)
    rng, size = np.random.default_rng(0), 1 << 20
    noise = list(rng.integers(0, 255, (32, 64, 64, 3), dtype=np.uint8))
    source = encode(tmp_path / 'in.mp4', noise, [40 * i for i in range(32)], sound=(0, 1.2))
    whole, disk, refused = tmp_path / 'whole.mp4', mounted(f'size={size}'), 0
    passing_engine(quality=8).convert(source, whole)
    for level in np.linspace(0.35, 0.99, levels):
        for generation_info in (None, MAKING):
            output, ballast = disk / 'out.mp4', disk / 'ballast'
            ballast.write_bytes(bytes(int(level * size) // 4096 * 4096))
            try:
                passing_engine(quality=8).convert(source, output, generation_info=generation_info)
            except WriteError as error:
                refused += 1
                assert 'full' in str(error) and '.tmp' not in str(error) and '\n' not in str(error)
                left = [path.name for path in disk.rglob('*') if path.is_file()]
                assert not [name for name in left if name.startswith('.')] and 'out.mp4' not in left
                assert sum(name.endswith('.mp4') for name in left) == sum(name.endswith('.pt') for name in left)
                ballast.unlink()
                passing_engine(quality=8).convert(source, output, generation_info=generation_info)
            assert inspect(output).intact if generation_info else output.read_bytes() == whole.read_bytes()
            output.unlink()
            ballast.unlink(missing_ok=True)
            assert not list(disk.iterdir())
    assert refused > levels / 2


def test_leftovers_of_dead_processes_are_removed_at_the_next_start(tmp_path, source):
    dead = subprocess.Popen(['true'])
    dead.wait()
    output, parts = tmp_path / 'out.mp4', tmp_path / 'out.mp4.parts'
    parts.mkdir()
    for path in (output, parts / '00000.mp4', tmp_path / 'recording'):
        temporary_path(path).with_name(temporary_path(path).name.replace(f'-{os.getpid()}.', f'-{dead.pid}.')).write_text('old')
    temporary_path(tmp_path / 'other.mp4').write_text('of a process that runs')
    passing_engine().convert(source, output)
    assert sorted(os.listdir(tmp_path)) == sorted([temporary_path(tmp_path / 'other.mp4').name, 'in.mp4', 'out.mp4'])


def test_a_recording_that_ends_in_an_error_leaves_nothing(tmp_path, monkeypatch):
    recording = Recording(tmp_path / 'out.mp4', 25)
    recording(0.0, images(1)[0])
    monkeypatch.setattr('models.pipelines.video.mux.os.replace', lambda *paths: (_ for _ in ()).throw(OSError(28, 'no space')))
    with pytest.raises(WriteError, match='full'):
        recording.close()
    assert os.listdir(tmp_path) == []


# What cannot be read

@pytest.mark.parametrize('ending, change, word', [
    ('mp4', lambda data: data.replace(b'avc1', b'zzzz'), 'codec'),
    ('mkv', lambda data: data.replace(b'V_MPEG4/ISO/AVC', b'V_MPEG4/ISO/AVX'), 'codec'),
    ('mp4', lambda data: data[:40], 'cannot be read'),
    ('avi', lambda data: data.replace(b'FMP4', b'ZZZZ').replace(b'fmp4', b'ZZZZ'), 'codec')])
def test_changed_files_are_one_sentence(tmp_path, ending, change, word):
    path = encode(tmp_path / f'in.{ending}', images(4), list(range(4)), Fraction(1, 25))
    data = path.read_bytes()
    assert change(data) != data
    path.write_bytes(change(data))
    with pytest.raises(ValueError, match=word) as caught:
        passing_engine().convert(path, tmp_path / 'out.mp4')
    assert '\n' not in str(caught.value) and os.listdir(tmp_path) == [path.name]


def test_sound_without_a_known_codec_is_left_out_with_a_note(tmp_path):
    path = encode(tmp_path / 'in.mkv', images(4), [0, 40, 80, 120], sound=(0, 0.2))
    path.write_bytes(path.read_bytes().replace(b'A_AAC', b'A_XXX'))
    report = passing_engine().convert(path, tmp_path / 'out.mp4')
    assert any('left out' in note for note in report.notes)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert not container.streams.audio and container.streams.video[0].frames == 4


@pytest.mark.parametrize('count', [24, pytest.param(1500, marks=pytest.mark.slow)])
def test_mutated_videos(tmp_path, count):
    """Flipped bits, cuts and numbers of a header: a video or a sentence, and no piece that would be left for ever."""
    rng = np.random.default_rng(3)
    sources = [encode(tmp_path / f's.{ending}', images(4), list(range(4)), Fraction(1, 25), sound=(0, 0.2))
               for ending in CODECS]
    before = sorted(os.listdir(tmp_path))
    for number in range(count):
        source = sources[number % len(sources)]
        data = bytearray(source.read_bytes())
        kind, at = rng.integers(3), int(rng.integers(len(data)))
        if kind == 0:
            for place in rng.integers(0, len(data), 12):
                data[place] ^= 1 << rng.integers(8)
        elif kind == 1:
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


@pytest.mark.parametrize('refused, codecs', [(lambda sound: any(sound.copied.values()), ['aac']),
                                             (lambda sound: sound.copied, [])])
def test_sound_that_the_muxer_refuses_does_not_lose_the_video(tmp_path, monkeypatch, refused, codecs):
    def refusing(pieces, stamps, end, look, output, sound, generation_info):
        if refused(sound):
            raise mux.EncodeError('invalid data')  # as some damaged sound ends, when the file is closed
        return original(pieces, stamps, end, look, output, sound, generation_info)

    original = mux._join
    monkeypatch.setattr(mux, '_join', refusing)
    path = encode(tmp_path / 'in.webm', images(4), [0, 40, 80, 120], sound=(0, 0.2))
    report = passing_engine().convert(path, tmp_path / 'out.mp4')
    assert report.frames == 4 and any('sound' in note and 'MP4' in note for note in report.notes)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == codecs
    assert sorted(os.listdir(tmp_path)) == ['in.webm', 'out.mp4']


def test_a_video_that_cannot_be_signed_keeps_its_pieces_and_its_sound(tmp_path, monkeypatch):
    path = encode(tmp_path / 'in.mkv', images(4), [0, 40, 80, 120], sound=(0, 0.2))
    with monkeypatch.context() as patch:
        patch.setattr(mux, 'sign', Mock(side_effect=ProvenanceError('the signature failed')))
        with pytest.raises(ProvenanceError, match='the signature failed'):
            passing_engine().convert(path, tmp_path / 'out.mp4', generation_info=MAKING)
    assert sorted(os.listdir(tmp_path)) == ['in.mkv', 'out.mp4.parts']
    report = passing_engine().convert(path, tmp_path / 'out.mp4', generation_info=MAKING)
    assert (report.resumed_frames, report.frames, report.notes) == (4, 0, []) and inspect(tmp_path / 'out.mp4').intact
