"""Rendering of faces: determinism, effects of parameters, annotations."""
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.synthetic import (
    ATTRIBUTES,
    IDENTITY,
    Rendering,
    exaggerate,
    render,
    sample_attributes,
    sample_identity,
)
from models.batch import PARTS
from models.geometry import template

ROOT = Path(__file__).resolve().parents[3]
NEUTRAL = {'light_azimuth': 20, 'light_elevation': 30, 'light_strength': 0.5, 'background_value': 0.6, 'glasses': -1}


def attributes(**changes) -> np.ndarray:
    """Attributes of a frontal face with a neutral expression, without glasses, and with changes by name."""
    values = dict.fromkeys(ATTRIBUTES, 0.0) | NEUTRAL | changes
    return np.array([values[name] for name in ATTRIBUTES], np.float32)


def identity(k: int, **changes) -> np.ndarray:
    """Identity k with short hair that leaves the face free, and with changes by name."""
    values = dict(zip(IDENTITY, sample_identity(7, k))) | {'fringe': -1, 'hair_length': -0.8} | changes
    return np.array([values[name] for name in IDENTITY], np.float32)


def part_at(parsing: np.ndarray, point: np.ndarray) -> str:
    """Name of the part at (x, y) in pixels."""
    x, y = np.rint(point).astype(int)
    return PARTS[parsing[y, x]]


def difference(a: Rendering, b: Rendering) -> float:
    """Mean absolute difference of two images in 0..255."""
    return float(np.abs(a.image.astype(float) - b.image.astype(float)).mean())


def test_rendering_is_identical_in_another_process():
    code = ('import sys, hashlib; sys.path.insert(0, sys.argv[1])\n'
            'from datasets.synthetic import render, sample_identity, sample_attributes\n'
            'r = render(sample_identity(3, 4), sample_attributes(3, 9), 64)\n'
            'print(hashlib.sha256(r.image.tobytes() + r.parsing.tobytes() + r.landmarks.tobytes()).hexdigest())')
    expected = subprocess.run([sys.executable, '-c', code, str(ROOT)], capture_output=True, text=True, check=True).stdout.strip()
    for k in range(3):  # earlier renderings have no effect
        render(sample_identity(3, k), sample_attributes(3, k), 64)
    r = render(sample_identity(3, 4), sample_attributes(3, 9), 64)
    assert hashlib.sha256(r.image.tobytes() + r.parsing.tobytes() + r.landmarks.tobytes()).hexdigest() == expected


def test_identities_and_seeds_differ():
    assert not np.array_equal(sample_identity(0, 1), sample_identity(0, 2))
    assert not np.array_equal(sample_identity(0, 1), sample_identity(1, 1))
    assert not np.array_equal(sample_attributes(0, 1), sample_attributes(0, 2))
    identities = np.stack([sample_identity(0, k) for k in range(300)])
    assert identities.min() >= -1 and identities.max() <= 1
    assert (identities.std(0) > 0.1).all()


def test_mean_face_falls_on_the_template():
    for size in (64, 128):
        points = render(np.zeros(len(IDENTITY)), attributes(), size).points
        expected = np.array(template('face').scaled(size).points)
        assert np.abs(points - expected).max() < 0.9 * size / 128


@pytest.mark.parametrize('k', range(4))
def test_landmarks_lie_on_their_parts(k):
    rendering = render(identity(k), attributes(yaw=-12 + 8 * k, pitch=4 - 3 * k, roll=2 * k, mouth_open=0.5), 256)
    points, parsing = rendering.landmarks, rendering.parsing
    assert points.shape == (68, 2) and points.dtype == np.float32
    assert part_at(parsing, points[36:42].mean(0)) == 'l_eye'
    assert part_at(parsing, points[42:48].mean(0)) == 'r_eye'
    assert part_at(parsing, points[30]) == 'nose'
    assert part_at(parsing, points[60:68].mean(0)) == 'mouth'
    assert part_at(parsing, points[[50, 51, 52, 61, 62, 63]].mean(0)) == 'u_lip'
    assert part_at(parsing, points[[56, 57, 58, 65, 66, 67]].mean(0)) == 'l_lip'
    assert part_at(parsing, points[19]) == 'l_brow' and part_at(parsing, points[24]) == 'r_brow'
    # The tip of the chin lies on the edge of the skin.
    chin = points[8]
    assert part_at(parsing, chin - (0, 10)) == 'skin'
    if chin[1] < 240:
        assert part_at(parsing, chin + (0, 14)) in ('neck', 'cloth')
    assert points[4, 0] < points[8, 0] < points[12, 0] and chin[1] > points[[0, 4, 12, 16], 1].max()
    five_points = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    assert np.allclose(rendering.points, five_points, atol=1e-3)


def test_renderings_have_all_parts_except_hat_earring_and_necklace():
    ids: set[int] = set()
    for i in range(40):
        ids |= set(np.unique(render(sample_identity(1, i), sample_attributes(1, i), 64).parsing).tolist())
    assert {PARTS[i] for i in ids} >= set(PARTS) - {'hat', 'ear_r', 'neck_l'}


def test_pose_angles_move_the_face():
    def nose_offset(**changes):
        points = render(identity(0), attributes(**changes), 128).points
        return points[2] - points[:2].mean(0)

    assert nose_offset(yaw=25)[0] > nose_offset()[0] + 4 and nose_offset(yaw=-25)[0] < nose_offset()[0] - 4
    assert nose_offset(pitch=15)[1] > nose_offset()[1] + 1 and nose_offset(pitch=-15)[1] < nose_offset()[1] - 1
    eyes = render(identity(0), attributes(roll=10), 128).points[:2]
    angle = np.degrees(np.arctan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0]))
    assert 8 < angle < 12


def test_expression_parameters_move_the_landmarks():
    def points(**changes):
        return render(identity(1), attributes(**changes), 128).landmarks

    neutral, laugh = points(), points(mouth_open=0.8)
    assert laugh[66, 1] - laugh[62, 1] > neutral[66, 1] - neutral[62, 1] + 4
    assert points(smile=1)[48, 1] < neutral[48, 1] - 1.5
    assert points(brow_raise=1)[19, 1] < neutral[19, 1] - 1.5
    closed = points(eye_close=1)
    assert (closed[[40, 41], 1] - closed[[38, 37], 1]).max() < 0.5 * (neutral[[40, 41], 1] - neutral[[38, 37], 1]).min()


def test_side_of_the_light_is_brighter():
    def brightness_of_halves(azimuth):
        rendering = render(identity(2, bald=1), attributes(light_azimuth=azimuth, light_strength=1), 128)
        skin = rendering.parsing == PARTS.index('skin')
        left = skin & (np.arange(128) < 60)
        right = skin & (np.arange(128) > 68)
        return rendering.image[left].mean(), rendering.image[right].mean()

    left, right = brightness_of_halves(60)
    assert right > left + 10
    left, right = brightness_of_halves(-60)
    assert left > right + 10


def test_proportions_depend_on_identity_more_than_on_attributes():
    def proportions(k, i):
        p = render(identity(k), attributes(roll=3 * i, background_hue=0.2 * i, light_azimuth=20 * i), 128).landmarks
        return np.array([np.linalg.norm(p[45] - p[36]), np.linalg.norm(p[33] - p[27]), np.linalg.norm(p[54] - p[48]),
                         np.linalg.norm(p[35] - p[31]), np.linalg.norm(p[8] - p[57])])

    table = np.stack([[proportions(k, i) for i in range(3)] for k in range(4)])  # (identity, attributes, proportion)
    within = np.abs(table - table.mean(1, keepdims=True)).max()
    means = table.mean(1)
    between = min(np.abs(means[a] - means[b]).max() for a in range(4) for b in range(a))
    assert between > 5 * within


def test_background_depends_on_attributes_alone():
    a, b = sample_attributes(2, 1), sample_attributes(2, 5)
    first, second, other_background = render(identity(0), a, 64), render(identity(1), a, 64), render(identity(0), b, 64)
    inside = np.pad((first.parsing == 0) & (second.parsing == 0), 2)
    for axis in (0, 1):  # erosion, as antialiasing and blur mix pixels at edges
        inside = inside & np.roll(inside, 2, axis) & np.roll(inside, -2, axis)
    background = inside[2:-2, 2:-2]
    assert background.sum() > 20
    assert np.abs(first.image[background].astype(int) - second.image[background]).mean() < 2
    assert np.abs(first.image[background].astype(int) - other_background.image[background]).mean() > 10


def test_sizes_agree():
    for i in range(3):
        parameters = sample_identity(4, i), sample_attributes(4, i)
        small, large = render(*parameters, 64), render(*parameters, 256)
        reduced = large.image.reshape(64, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(reduced - small.image).mean() < 6
        assert np.abs((small.landmarks + 0.5) * 4 - 0.5 - large.landmarks).max() < 0.05
        assert (large.parsing[2::4, 2::4] == small.parsing).mean() > 0.93
    for size in (32, 256):
        rendering = render(*parameters, size)
        assert rendering.image.shape == (size, size, 3) and rendering.image.dtype == np.uint8
        assert rendering.parsing.shape == (size, size)


def test_edges_are_antialiased():
    """A displacement by a fraction of a pixel changes the image less than one by several pixels."""
    reference = render(identity(0), attributes(), 64)
    near = render(identity(0), attributes(roll=0.4), 64)
    far = render(identity(0), attributes(roll=8), 64)
    assert 0 < difference(reference, near) < 0.2 * difference(reference, far)


def test_drawing_is_exaggerated_and_flat():
    v, a = identity(3), attributes(yaw=10)
    photo, drawing = render(v, a, 128), render(v, a, 128, domain='drawing')
    mean = render(np.zeros(len(IDENTITY)), a, 128)
    assert difference(photo, drawing) > 4
    assert np.linalg.norm(drawing.landmarks - mean.landmarks) > 1.2 * np.linalg.norm(photo.landmarks - mean.landmarks)
    assert part_at(drawing.parsing, drawing.landmarks[30]) == 'nose'
    assert np.abs(exaggerate(v) - v).max() > 0.2
    num_colors = [len(np.unique(rendering.image[rendering.parsing == PARTS.index('skin')] // 4, axis=0))
                  for rendering in (photo, drawing)]
    assert num_colors[1] < num_colors[0]


@pytest.mark.parametrize('call, message', [
    (lambda: render(np.zeros(3), attributes(), 64), 'vector'),
    (lambda: render(identity(0), attributes(), 512), 'size'),
    (lambda: render(identity(0), attributes(), 64, domain='oil'), 'domain'),
    (lambda: render(identity(0) * np.nan, attributes(), 64), 'finite'),
])
def test_invalid_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
