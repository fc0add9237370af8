"""Mutated videos in the containers and codecs that phones, browsers and cameras write."""
import io
from itertools import islice

import av
import numpy as np
import pytest

from models.pipelines.video.clip import Clip
from tests.fuzz.contract import check

# file ending -> container, codec
FORMATS = {'mp4': ('mp4', 'h264'), 'mov': ('mov', 'mpeg4'), 'mkv': ('matroska', 'h264'), 'webm': ('webm', 'libvpx'),
           'avi': ('avi', 'mjpeg'), 'flv': ('flv', 'flv'), 'ts': ('mpegts', 'mpeg2video')}


def _encoded(container: str, codec: str) -> bytes:
    data = io.BytesIO()
    with av.open(data, 'w', format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        for number in range(6):
            pixels = np.full((48, 64, 3), 40 * number, np.uint8)
            pixels[8:24, 4 * number:4 * number + 16] = 250 - 40 * number
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        output.mux(stream.encode())
    return data.getvalue()


def _read(path) -> None:
    for _ in islice(Clip(path).frames(), 100):
        pass


@pytest.mark.parametrize('ending', FORMATS)
def test_formats_are_read_or_refused(tmp_path, count, ending):
    container, codec = FORMATS[ending]
    if codec not in av.codecs_available:
        pytest.skip(f'this FFmpeg does not write {codec}')
    check(ending, _encoded(container, codec), _read, tmp_path / f'video.{ending}', count)
