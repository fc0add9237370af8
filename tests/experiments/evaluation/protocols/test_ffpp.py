"""FaceForensics++: pairs, frames and the protocol, on short synthetic videos with a stand-in for the detector."""
import json

import cv2
import numpy as np
import pytest

from datasets.preparation import photos as preparation
from experiments.evaluation.protocols.ffpp import official_pairs, sample_frames, video
from experiments.evaluation.protocols.swaps import build_protocol
from models.geometry import TEMPLATES
from models.perception.detection import Face


def write_video(path, shades):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (178, 218))
    for shade in shades:
        writer.write(np.full((218, 178, 3), shade, np.uint8))
    writer.release()


class BrightFrameDetector:
    """Detects one face, with CelebA's landmarks, in frames with a mean of at least 20."""

    def detect(self, image):
        if image.mean() < 20:
            return []
        points = np.array(TEMPLATES['celeba'].points, np.float32)
        return [Face(np.array([40, 60, 140, 190], np.float32), points, 0.99)]


@pytest.fixture
def root(tmp_path):
    for number, first_shade in (('000', 60), ('003', 100)):
        path = tmp_path / 'ff/original_sequences/youtube/c23/videos' / f'{number}.mp4'
        write_video(path, [first_shade + 4 * i for i in range(21)])
    return tmp_path / 'ff'


def test_pairs_are_those_of_the_splits_or_of_manipulated_videos(root):
    with pytest.raises(ValueError, match='neither splits'):
        official_pairs(root)
    manipulated = root / 'manipulated_sequences/FaceSwap/c23/videos'
    manipulated.mkdir(parents=True)
    (manipulated / '000_003.mp4').touch()
    assert official_pairs(root) == [('000', '003')]
    (root / 'splits').mkdir()
    (root / 'splits' / 'test.json').write_text(json.dumps([['003', '000']]))
    assert official_pairs(root) == [('000', '003'), ('003', '000')]


def test_frames_are_evenly_spaced(root):
    frames = sample_frames(video(root, '000'), 5)
    assert [round(float(frame.mean())) for frame in frames] == pytest.approx([60, 80, 100, 120, 140], abs=6)
    with pytest.raises(ValueError, match='999.mp4'):
        video(root, '999')


def test_the_protocol_pairs_frames_of_equal_index(root, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, 'build_detector', lambda name: BrightFrameDetector())
    (root / 'test.json').write_text(json.dumps([['000', '003']]))
    write_video(root / 'original_sequences/youtube/c23/videos/003.mp4', [10] * 11 + [120] * 10)  # no face in the first half
    protocol = build_protocol('ffpp', tmp_path / 'list', root=root, size=32)
    assert ('003/09.jpg', '000/09.jpg') in protocol.names and ('000/00.jpg', '003/00.jpg') not in protocol.names
    assert {a.split('/')[1] == b.split('/')[1] for a, b in protocol.names} == {True} and 6 <= len(protocol.names) <= 12
    sample = protocol.pairs[0]
    assert int(sample.source_label) != int(sample.target_label)
    assert build_protocol('ffpp', tmp_path / 'list', root=root, size=32).sha256 == protocol.sha256
