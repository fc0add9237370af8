"""Resumption of video conversions whose process is killed at a random time."""
import multiprocessing
import time

import numpy as np
import pytest

from models.pipelines.io.provenance import GenerationInfo, inspect
from models.pipelines.video import engine as video
from tests.models.pipelines.video.stubs import encode, images, passing_engine


def _convert(source, output, generation_info, started):
    video.CHUNKS_PER_SEGMENT, video.DETECTION_INTERVAL = 2, 4
    started.set()
    passing_engine().convert(source, output, generation_info=generation_info)


def _killed(source, output, generation_info, seconds: float | None) -> float:
    """Convert in another process, which is killed after `seconds`; returns its run time."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.models.pipelines.video.test_kills'])
    started = context.Event()
    process = context.Process(target=_convert, args=(source, output, generation_info, started), daemon=True)
    process.start()
    assert started.wait(120)
    start = time.monotonic()
    process.join(seconds)
    process.kill()
    process.join()
    return time.monotonic() - start


@pytest.mark.parametrize('kills', [5, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_conversion_resumes_bit_exactly(tmp_path, monkeypatch, kills):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'home'))
    monkeypatch.setattr(video, 'CHUNKS_PER_SEGMENT', 2)
    monkeypatch.setattr(video, 'DETECTION_INTERVAL', 4)
    source = encode(tmp_path / 'in.mp4', images(40), [40 * i for i in range(40)], sound=(0, 1.6))
    folder, generation_info = tmp_path / 'out', GenerationInfo('cvae', {}, 'faces were replaced')
    expected = folder / 'expected.mp4'
    seconds = _killed(source, expected, generation_info, None)
    passing_engine().convert(source, expected)
    rng, unfinished = np.random.default_rng(0), 0
    for number in range(kills):
        output, signature = folder / 'out.mp4', generation_info if number % 2 else None
        _killed(source, output, signature, rng.uniform(0, seconds))
        unfinished += not output.exists()
        report = passing_engine().convert(source, output, generation_info=signature)
        assert sorted(path.name for path in folder.iterdir()) == ['expected.mp4', 'out.mp4']
        assert report.resumed_frames + report.frames == 40
        if signature:
            assert inspect(output).intact
        else:
            assert output.read_bytes() == expected.read_bytes()
        output.unlink()
    assert unfinished > kills / 3
