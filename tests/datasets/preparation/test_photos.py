"""Preparation of photos: alignment, filters, reports and resumption."""
import csv
import json

import numpy as np
import pytest

from datasets.faces import read_image
from datasets.preparation import photos as preparation
from datasets.preparation.photos import Rules, prepare, stamp_folder
from datasets.registry import build_faces
from models.geometry import TEMPLATES
from models.perception.detection import Face
from tests.datasets.layouts import image, write

POINTS = np.array(TEMPLATES['celeba'].points, np.float32)


class CodedDetector:
    """A detector whose result is coded in the top-left pixel of a photo: number of faces, their scale in tenths, and whether the
    nose lies far outside the face."""

    def __init__(self):
        self.calls = 0

    def detect(self, photo):
        self.calls += 1
        count, scale, is_invalid = photo[0, 0].tolist()
        points = (POINTS + 0.5) * scale / 10 - 0.5 + [[20, 10]]
        if is_invalid:
            points[2] += [40 * scale / 10, 0]
        box = np.array([0, 0, scale, scale], np.float32)
        return [Face(box, points.astype(np.float32), 0.99 if i == 0 else 0.5) for i in range(count)]


@pytest.fixture
def detector(monkeypatch):
    stub = CodedDetector()
    monkeypatch.setattr(preparation, 'build_detector', lambda name: stub)
    return stub


def photo(path, seed, code=(1, 20, 0)):
    """Write a photo with the code of CodedDetector in its top-left pixel."""
    array = np.zeros((600, 500, 3), np.uint8)
    array[10:10 + 436, 20:20 + 356] = image(seed, 356, 436)
    array[0, 0] = code
    write(path, array)


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / 'photos'
    for i, name in enumerate(['anna/a.png', 'anna/b.png', 'berta/a.png', 'carl/deep/a.png', 'dora__1.png', 'dora__2.png']):
        photo(root / name, i)
    photo(root / 'x_none.png', 0, (0, 20, 0))
    photo(root / 'x_small.png', 0, (1, 4, 0))
    photo(root / 'x_invalid.png', 0, (1, 20, 1))
    photo(root / 'x_two.png', 0, (2, 20, 0))
    (root / 'x_broken.png').write_bytes(b'broken')
    return root


def report(folder):
    with (folder / 'report.csv').open() as handle:
        return {row['file']: row for row in csv.DictReader(handle)}


@pytest.mark.parametrize('layout', ['celeba', 'folder'])
def test_kept_photos_are_aligned_and_written_in_the_layout(photos, tmp_path, detector, layout):
    counts = prepare(photos, tmp_path / 'out', layout=layout, rules=Rules(several='drop'))
    assert counts['kept'] == 6
    faces = build_faces(layout, tmp_path / 'out')
    assert len(faces) == 6 and len(faces.identity_names) == 4 and faces.frame == TEMPLATES['celeba']
    assert np.allclose(faces.points, POINTS, atol=0.02)
    rows = report(tmp_path / 'out')
    aligned = read_image(tmp_path / 'out' / rows['berta/a.png']['output'])
    assert np.abs(aligned.astype(float) - image(2)).mean() < 4
    if layout == 'folder':
        assert rows['carl/deep/a.png']['output'] == 'carl/deep_a.jpg' and rows['dora__2.png']['output'] == 'dora/dora__2.jpg'
    else:
        names = dict(line.split(' ', 1) for line in (tmp_path / 'out' / 'people.txt').read_text().splitlines())
        assert list(names.values()) == ['anna', 'berta', 'carl', 'dora']


def test_report_gives_the_reason_for_each_dropped_photo(photos, tmp_path, detector):
    prepare(photos, tmp_path / 'out', rules=Rules(several='drop'))
    reasons = {name: row['reason'] for name, row in report(tmp_path / 'out').items() if row['kept'] == 'no'}
    assert reasons == {'x_none.png': 'no face', 'x_small.png': 'too small', 'x_two.png': 'several faces',
                       'x_invalid.png': 'landmarks unlike a face seen from the front', 'x_broken.png': 'unreadable'}
    summary = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert (summary['photos'], summary['kept'], summary['dropped']['no face']) == (11, 6, 1)
    assert prepare(photos, tmp_path / 'largest')['kept'] == 7  # by default the larger of two faces is taken


def test_interrupted_run_resumes(photos, tmp_path, detector, monkeypatch):
    expected = prepare(photos, tmp_path / 'uninterrupted')
    detect, detector.calls = detector.detect, 0

    def failing(image):
        if detector.calls == 4:
            raise KeyboardInterrupt
        return detect(image)

    monkeypatch.setattr(detector, 'detect', failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, tmp_path / 'out')
    monkeypatch.setattr(detector, 'detect', detect)
    with (tmp_path / 'out' / 'report.csv').open('a') as handle:
        handle.write('dora__1.png,ye')  # an incomplete line
    assert prepare(photos, tmp_path / 'out') == expected
    assert detector.calls == 10  # one call per readable photo
    assert report(tmp_path / 'out') == report(tmp_path / 'uninterrupted')
    files = [sorted(path.name for path in (tmp_path / name).rglob('*.*')) for name in ('out', 'uninterrupted')]
    assert files[0] == files[1]
    for name in ('identity_CelebA.txt', 'list_landmarks_align_celeba.txt', 'list_eval_partition.txt'):
        assert (tmp_path / 'out' / name).read_text() == (tmp_path / 'uninterrupted' / name).read_text()


def test_folder_of_other_photos_settings_or_files_is_refused(photos, tmp_path, detector):
    prepare(photos, tmp_path / 'out')
    with pytest.raises(ValueError, match='other settings'):
        prepare(photos, tmp_path / 'out', rules=Rules(eyes=50))
    photo(photos / 'new.png', 1)
    with pytest.raises(ValueError, match='other photos'):
        prepare(photos, tmp_path / 'out')
    with pytest.raises(ValueError, match='lies inside'):
        prepare(photos, photos / 'out')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'thesis.txt').write_text('text')
    with pytest.raises(ValueError, match='not empty'):
        prepare(photos, tmp_path / 'full')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='contains no image'):
        prepare(tmp_path / 'empty', tmp_path / 'out2')


def test_temporary_files_of_a_killed_command_are_ignored(tmp_path):
    for name in ('.0001.jpg.123.tmp', 'stamp.part'):
        (tmp_path / name).write_text('half')
    stamp_folder(tmp_path, 'stamp')
    (tmp_path / '.stamp').unlink()
    (tmp_path / 'photo.jpg').write_text('unrelated')
    with pytest.raises(ValueError, match='not empty'):
        stamp_folder(tmp_path, 'stamp')


@pytest.mark.slow
def test_mtcnn_in_two_processes(tmp_path):
    """MTCNN detects the face of scikit-image's astronaut at three positions and none in noise."""
    from skimage.data import astronaut

    for i in range(3):
        write(tmp_path / 'photos' / f'eileen__{i}.png', np.roll(astronaut(), 20 * i, 1))
    write(tmp_path / 'photos' / 'noise.png', np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    counts = prepare(tmp_path / 'photos', tmp_path / 'out', layout='folder', workers=2)
    assert counts == {'kept': 3, 'no face': 1}
    aligned = [read_image(path).astype(float) for path in sorted((tmp_path / 'out' / 'eileen').iterdir())]
    assert all(image.shape == (218, 178, 3) for image in aligned)
    assert np.abs(aligned[0] - aligned[1]).mean() < 12
