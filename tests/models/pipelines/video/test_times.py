"""Time stamps of video frames and audio in all containers."""
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from models.pipelines.video import engine as video
from tests.models.pipelines.video.stubs import CODECS, RATE, encode, images, passing_engine

MILLISECOND = 1e-3  # seconds
COUNT = 12  # frames
CONSTANT, VARIABLE = [40 * i for i in range(COUNT)], [40 * i + 13 * (i % 3) for i in range(COUNT)]  # milliseconds


def frames_of(path):
    """Times of the frames and of the end of the last one, in seconds."""
    with av.open(str(path)) as container:
        frames = [(frame.time, float((frame.duration or 0) * frame.time_base)) for frame in container.decode(video=0)]
    return [time for time, _ in frames], sum(frames[-1])


def onset(path):
    """Time of the first loud audio sample in seconds."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray().astype(np.float32) / (32768 if frame.format.name.startswith('s16') else 1)).max(0)
            loud = np.flatnonzero(loud[::frame.layout.nb_channels if not frame.format.is_planar else 1] > 0.1)
            if len(loud):
                return frame.time + loud[0] / frame.sample_rate
    return None


def converted(tmp_path, source):
    report = passing_engine().convert(source, tmp_path / 'out.mp4')
    return tmp_path / 'out.mp4', report


def assert_same_times(source, output, durations=True):
    (times, end), (other_times, other_end) = frames_of(source), frames_of(output)
    assert len(times) == COUNT and other_times == pytest.approx(times, abs=MILLISECOND)
    if durations:
        assert other_end == pytest.approx(end, abs=MILLISECOND)
    assert onset(output) == pytest.approx(onset(source), abs=MILLISECOND)
    with av.open(str(output)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == 'yuv420p'


@pytest.mark.parametrize('base, steps', [
    ((1, 600), [24 * i for i in range(COUNT)]), ((1, 600), [24 * i + 241 + i % 3 for i in range(COUNT)]),
    ((1, 1000), CONSTANT), ((1, 90_000), [3003 * i + 17 * (i % 4) for i in range(COUNT)]),
    ((1001, 30_000), list(range(COUNT))), ((1001, 30_000), [i + i // 3 for i in range(COUNT)])])
def test_times_are_preserved_in_all_time_bases(tmp_path, base, steps):
    base = Fraction(*base)
    source = encode(tmp_path / 'in.mp4', images(COUNT), steps, base, sound=(0, 0.6),
                    container={'video_track_timescale': str(base.denominator)})
    with av.open(str(source)) as container:
        assert container.streams.video[0].time_base == Fraction(1, base.denominator)
    output, report = converted(tmp_path, source)
    assert_same_times(source, output)
    assert frames_of(output)[0] == pytest.approx([float(step * base) for step in steps], abs=MILLISECOND)
    assert report.notes == []


@pytest.mark.parametrize('stamps, sound', [
    (CONSTANT, (0, 0.6)), (VARIABLE, (0, 0.6)), ([400 + stamp for stamp in VARIABLE], (0, 1)), (VARIABLE, (0.3, 0.6))],
    ids=['constant', 'variable', 'late video', 'late audio'])
@pytest.mark.parametrize('suffix', ['mov', 'mkv', 'webm', 'flv'])
def test_times_are_preserved_in_all_containers(tmp_path, suffix, stamps, sound):
    source = encode(tmp_path / f'in.{suffix}', images(COUNT), stamps, sound=sound)
    output, _ = converted(tmp_path, source)
    assert_same_times(source, output, durations=suffix != 'flv')  # which stores no durations
    assert frames_of(output)[1] == pytest.approx(frames_of(source)[0][-1] + 0.04, abs=0.015)


def test_avi_with_b_frames_is_not_damaged(tmp_path):
    source = encode(tmp_path / 'in.avi', images(COUNT), list(range(COUNT)), Fraction(1, 25), sound=(0, 0.6),
                    options={'bf': '2'})
    output, report = converted(tmp_path, source)
    assert_same_times(source, output)
    assert not [note for note in report.notes if 'damaged' in note]


def test_broadcast_stream_starts_at_zero(tmp_path):
    """The clock of a transport stream starts at an arbitrary time."""
    source = encode(tmp_path / 'in.ts', images(COUNT), [stamp + 200 for stamp in VARIABLE], sound=(0, 1),
                    container={'output_ts_offset': '5000'})
    output, _ = converted(tmp_path, source)
    times, outputs = frames_of(source)[0], frames_of(output)[0]
    assert times[0] > 5000 and 0.1 < outputs[0] < 0.3
    assert np.subtract(times, onset(source)) == pytest.approx(np.subtract(outputs, onset(output)), abs=MILLISECOND)


def test_audio_codecs_of_mp4_are_copied_and_others_become_aac(tmp_path):
    for suffix, codec, expected in (('mkv', 'aac', 'aac'), ('avi', 'libmp3lame', 'mp3'), ('mkv', 'flac', 'flac'),
                                    ('mkv', 'pcm_s24le', 'aac'), ('avi', 'adpcm_ima_wav', 'aac'),
                                    ('mov', 'pcm_s16be', 'aac')):
        source = encode(tmp_path / f'in.{suffix}', images(COUNT), list(range(COUNT)), Fraction(1, 25),
                        codecs=('mpeg4', codec), sound=(0, 0.4))
        output, report = converted(tmp_path, source)
        with av.open(str(output)) as container:
            assert container.streams.audio[0].codec_context.codec.canonical_name == expected
        assert onset(output) == pytest.approx(onset(source), abs=5 * MILLISECOND), 'codecs blur the onset'
        assert any('AAC' in note for note in report.notes) == (expected == 'aac' != codec)


def test_audio_tracks_keep_their_languages(tmp_path):
    source = tmp_path / 'in.mkv'
    encode(source, images(4), CONSTANT[:4], sound=(0, 0.2))
    with av.open(str(source)) as first, av.open(str(tmp_path / 'two.mkv'), 'w') as two:
        streams = [two.add_stream_from_template(first.streams[index]) for index in (0, 1, 1)]
        streams[1].metadata['language'], streams[2].metadata['language'] = 'deu', 'jpn'
        for packet in first.demux():
            if packet.size:
                for stream in streams[:1] if packet.stream.type == 'video' else streams[1:]:
                    packet.stream = stream
                    two.mux(packet)
    output, _ = converted(tmp_path, tmp_path / 'two.mkv')
    with av.open(str(output)) as container:
        assert [stream.metadata['language'] for stream in container.streams.audio] == ['deu', 'jpn']


def test_gap_of_reencoded_audio_is_silent(tmp_path):
    encode(tmp_path / 'all.mkv', images(COUNT), [200 * i for i in range(COUNT)], codecs=('libx264', 'pcm_s16le'), sound=(0, 2))
    source = tmp_path / 'in.mkv'
    with av.open(str(tmp_path / 'all.mkv')) as first, av.open(str(source), 'w') as gapped:
        streams = [gapped.add_stream_from_template(stream) for stream in first.streams]
        for packet in first.demux():
            if packet.size and (packet.stream.type == 'video' or not 0.3 < packet.pts * packet.time_base < 1.2):
                packet.stream = streams[packet.stream.index]
                gapped.mux(packet)
    output, _ = converted(tmp_path, source)
    with av.open(str(output)) as container:
        loud = np.concatenate([np.abs(frame.to_ndarray()).max(0) for frame in container.decode(audio=0)])
    seconds = lambda start, end: loud[round(start * RATE):round(end * RATE)]  # noqa: E731
    assert seconds(0.1, 0.25).max() > 0.2 and seconds(0.4, 1.1).max() < 0.01 and seconds(1.25, 1.9).max() > 0.2


def test_reset_clock_does_not_change_the_rate(tmp_path):
    """The clock of joined broadcasts is reset."""
    parts = [encode(tmp_path / f'{number}.ts', images(COUNT), CONSTANT, sound=(0, 0.48),
                    container={'output_ts_offset': str(offset)}) for number, offset in enumerate((9000, 100))]
    (tmp_path / 'in.ts').write_bytes(b''.join(part.read_bytes() for part in parts))
    output, _ = converted(tmp_path, tmp_path / 'in.ts')
    times, end = frames_of(output)
    assert len(times) == 2 * COUNT and np.diff(times) == pytest.approx([0.04] * (2 * COUNT - 1), abs=0.03)
    with av.open(str(output)) as container:
        sound = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.size]
    assert np.diff(sound).max() < 0.1 and abs(sound[-1] - end) < 0.15


@pytest.mark.parametrize('suffix', [*CODECS, 'gif'])
def test_conversion_resumes_bit_exactly_from_all_containers(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(video, 'CHUNKS_PER_SEGMENT', 2)
    monkeypatch.setattr(video, 'DETECTION_INTERVAL', 4)
    decoded, source = images(30), tmp_path / f'in.{suffix}'
    if suffix == 'gif':
        first, *more = map(Image.fromarray, decoded)
        first.save(source, save_all=True, append_images=more, duration=40)
    else:
        encode(source, decoded, list(range(30)), Fraction(1, 25), sound=(0, 1.2), container={'output_ts_offset': '7'})
    passing_engine().convert(source, tmp_path / 'uninterrupted.mp4')
    done = []
    report = passing_engine().convert(source, tmp_path / 'out.mp4', progress=lambda number, count: done.append(number),
                                      stop=lambda: done[-1] >= 20)
    assert not report.completed
    report = passing_engine().convert(source, tmp_path / 'out.mp4')
    assert (report.resumed_frames, report.frames) == (16, 14)
    assert (tmp_path / 'out.mp4').read_bytes() == (tmp_path / 'uninterrupted.mp4').read_bytes()
