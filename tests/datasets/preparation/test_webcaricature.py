"""Alignment and filters of WebCaricature."""
import csv
import importlib
import json

import numpy as np
import pytest

from datasets.faces import read_image
from datasets.preparation.webcaricature import CANVAS, Filter, assess, filter_images, is_ordered
from datasets.registry import build_faces
from datasets.webcaricature import LANDMARKS, folds
from tests.datasets.webcaricatures import name_of, webcaricatures

# Landmarks of a face on the canvas: contour, brows, eyes, nose, mouth.
FACE = np.array([(100, 20), (20, 110), (100, 228), (180, 110), (40, 85), (80, 82), (115, 82), (160, 85), (52, 107), (78, 107),
                 (122, 107), (148, 107), (100, 148), (100, 180), (71, 189), (100, 200), (129, 188)], np.float32)


def moved(name, dx, dy):
    """FACE with one landmark displaced."""
    points = FACE.copy()
    points[LANDMARKS.index(name)] += dx, dy
    return points


def test_canvas_has_the_published_template():
    assert (CANVAS.width, CANVAS.height) == (200, 232)
    assert np.allclose(CANVAS.points[0], (64.5892, 107.3926)) and np.allclose(CANVAS.points[4], (129.4598, 188.4082))


@pytest.mark.parametrize(('name', 'dx', 'dy'), [
    ('hairline', 0, 100), ('chin', 0, -60), ('l_ear', 30, 0), ('r_ear', -30, 0), ('l_brow_r', -50, 0), ('r_eye_l', 40, 0),
    ('mouth_l', 40, 0), ('lip_top', 40, 0), ('nose', 0, 40), ('l_brow_l', 0, 30), ('r_eye_r', 0, 45), ('lip_bottom', 0, 40)])
def test_displaced_landmark_is_out_of_order(name, dx, dy):
    assert is_ordered(FACE) and not is_ordered(moved(name, dx, dy))


def test_reasons_of_the_filter():
    assert assess(FACE, Filter())[0] == ''
    assert assess(moved('hairline', 0, 100), Filter())[0] == 'landmarks out of order'
    wide = FACE + np.float32([36, 0])
    wide[1], wide[3] = (5, 110), (240, 110)
    reason, _, distance = assess(wide, Filter())
    assert reason == '' and distance < 38.5  # a circle of a tenth of the canvas has a radius of 38.4 pixels
    reason, _, distance = assess(wide + np.float32([4, 0]), Filter())
    assert reason == 'far from the template' and distance > 38.4
    assert assess(FACE, Filter(area=0.0))[0] == 'far from the template'


def test_filtered_data_set_is_readable_without_side_faces(tmp_path, capsys):
    root, out = webcaricatures(tmp_path / 'all', size=64, yaw=0), tmp_path / 'out'
    side_faces = webcaricatures(tmp_path / 'side', num_identities=2, each=2, size=64, yaw=12)
    for identity in range(2):
        for part, suffix in (('OriginalImages', 'jpg'), ('FacialPoints', 'txt')):
            for number in (1, 2):
                file = f'{part}/{name_of(identity)}/P{number:05d}.{suffix}'
                (root / file).write_bytes((side_faces / file).read_bytes())
    (root / f'FacialPoints/{name_of(5)}/C00001.txt').unlink()
    (root / f'OriginalImages/{name_of(6)}/P00001.jpg').write_bytes(b'broken')
    script = importlib.import_module('scripts.prepare_data')
    assert script.main(['webcaricature', str(root), '-o', str(out), '--yaw', '8']) == 0
    assert 'kept' in capsys.readouterr().out
    with (out / 'report.csv').open() as handle:
        rows = {row['file'].removeprefix('OriginalImages/'): row for row in csv.DictReader(handle)}
    reasons = [rows[f'{name_of(identity)}/P{number:05d}.jpg']['reason'] for identity in range(2) for number in (1, 2)]
    assert '' not in reasons and 'side face' in reasons
    assert rows[f'{name_of(5)}/C00001.jpg']['reason'] == 'no landmarks'
    assert rows[f'{name_of(6)}/P00001.jpg']['reason'] == 'unreadable'
    report = json.loads((out / 'report.json').read_text())
    assert report['images'] == 80 and report['kept'] + sum(report['dropped'].values()) == 80 and report['kept'] > 30
    assert read_image(out / 'dropped.png').shape[1] > 256
    faces = build_faces('webcaricature', out)
    assert len(faces) == report['kept'] == report['kept_photos'] + report['kept_drawings']
    assert read_image(faces.path(0)).shape == (232, 200, 3)
    assert np.abs(faces.points - np.array(CANVAS.points)).mean() < 12
    assert 0 < sum(len(fold.probes) for fold in folds(faces, 'c2p')) < 40
    assert script.main(['webcaricature', str(root), '-o', str(out)]) == 2
    assert 'with other settings' in capsys.readouterr().err


def test_missing_landmarks_raise(tmp_path):
    root = webcaricatures(tmp_path / 'all', num_identities=10, each=1, size=32)
    for path in (root / 'FacialPoints').rglob('*.txt'):
        path.unlink()
    with pytest.raises(ValueError, match='no FacialPoints'):
        filter_images(root, tmp_path / 'out')
