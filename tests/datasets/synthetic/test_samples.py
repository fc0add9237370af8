"""The drawn faces: repeatable, their causes separable, their annotations where the image shows them."""
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.synthetic import (
    ATTRIBUTES,
    IDENTITY,
    SPLITS,
    SyntheticFaces,
    SyntheticPairs,
    SyntheticSwaps,
    exaggerate,
    identity_number,
    render,
    sample_attributes,
    sample_identity,
)
from models.batch import PARTS, collate
from models.geometry import template

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {'light_azimuth': 20, 'light_elevation': 30, 'light_strength': 0.5, 'background_value': 0.6, 'glasses': -1}


def setting(**changes) -> np.ndarray:
    """A frontal, resting face without glasses, changed by name."""
    values = dict.fromkeys(ATTRIBUTES, 0.0) | PLAIN | changes
    return np.array([values[name] for name in ATTRIBUTES], np.float32)


def someone(k: int, **changes) -> np.ndarray:
    """Person k with short hair off the face, changed by name."""
    values = dict(zip(IDENTITY, sample_identity(7, k))) | {'fringe': -1, 'hair_length': -0.8} | changes
    return np.array([values[name] for name in IDENTITY], np.float32)


def part_at(parsing: np.ndarray, point) -> str:
    x, y = np.rint(point).astype(int)
    return PARTS[parsing[y, x]]


def difference(a, b) -> float:
    return float(np.abs(a.image.astype(float) - b.image.astype(float)).mean())


def test_same_causes_give_the_same_image_in_another_process():
    code = ('import sys, hashlib; sys.path.insert(0, sys.argv[1])\n'
            'from datasets.synthetic import render, sample_identity, sample_attributes\n'
            'd = render(sample_identity(3, 4), sample_attributes(3, 9), 64)\n'
            'print(hashlib.sha256(d.image.tobytes() + d.parsing.tobytes() + d.landmarks.tobytes()).hexdigest())')
    there = subprocess.run([sys.executable, '-c', code, str(ROOT)], capture_output=True, text=True, check=True).stdout.strip()
    for other in range(3):  # what was drawn before leaves no trace
        render(sample_identity(3, other), sample_attributes(3, other), 64)
    d = render(sample_identity(3, 4), sample_attributes(3, 9), 64)
    assert hashlib.sha256(d.image.tobytes() + d.parsing.tobytes() + d.landmarks.tobytes()).hexdigest() == there


def test_people_differ_and_seeds_differ():
    assert not np.array_equal(sample_identity(0, 1), sample_identity(0, 2))
    assert not np.array_equal(sample_identity(0, 1), sample_identity(1, 1))
    assert not np.array_equal(sample_attributes(0, 1), sample_attributes(0, 2))
    people = np.stack([sample_identity(0, k) for k in range(300)])
    assert people.min() >= -1 and people.max() <= 1
    assert (people.std(0) > 0.1).all()


def test_mean_face_falls_on_the_template():
    for size in (64, 128):
        points = render(np.zeros(len(IDENTITY)), setting(), size).points
        wanted = np.array(template('face').scaled(size).points)
        assert np.abs(points - wanted).max() < 0.9 * size / 128


@pytest.mark.parametrize('k', range(4))
def test_landmarks_lie_on_their_parts(k):
    drawn = render(someone(k), setting(yaw=-12 + 8 * k, pitch=4 - 3 * k, roll=2 * k, mouth_open=0.5), 256)
    points, parsing = drawn.landmarks, drawn.parsing
    assert points.shape == (68, 2) and points.dtype == np.float32
    assert part_at(parsing, points[36:42].mean(0)) == 'l_eye'
    assert part_at(parsing, points[42:48].mean(0)) == 'r_eye'
    assert part_at(parsing, points[30]) == 'nose'
    assert part_at(parsing, points[60:68].mean(0)) == 'mouth'
    assert part_at(parsing, points[[50, 51, 52, 61, 62, 63]].mean(0)) == 'u_lip'
    assert part_at(parsing, points[[56, 57, 58, 65, 66, 67]].mean(0)) == 'l_lip'
    assert part_at(parsing, points[19]) == 'l_brow' and part_at(parsing, points[24]) == 'r_brow'
    # The tip of the chin is the edge of the skin: face above it, something else below.
    chin = points[8]
    assert part_at(parsing, chin - (0, 10)) == 'skin'
    if chin[1] < 240:
        assert part_at(parsing, chin + (0, 14)) in ('neck', 'cloth')
    assert points[4, 0] < points[8, 0] < points[12, 0] and chin[1] > points[[0, 4, 12, 16], 1].max()
    five = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    assert np.allclose(drawn.points, five, atol=1e-3)


def test_every_part_is_drawn_somewhere():
    seen = set()
    for i in range(40):
        seen |= set(np.unique(render(sample_identity(1, i), sample_attributes(1, i), 64).parsing).tolist())
    assert {PARTS[i] for i in seen} >= set(PARTS) - {'hat', 'ear_r', 'neck_l'}


def test_pose_moves_the_face_as_named():
    person_ = someone(0)

    def nose(**changes):
        points = render(person_, setting(**changes), 128).points
        return points[2] - points[:2].mean(0)

    assert nose(yaw=25)[0] > nose()[0] + 4 and nose(yaw=-25)[0] < nose()[0] - 4
    assert nose(pitch=15)[1] > nose()[1] + 1 and nose(pitch=-15)[1] < nose()[1] - 1
    eyes = render(person_, setting(roll=10), 128).points[:2]
    angle = np.degrees(np.arctan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0]))
    assert 8 < angle < 12


def test_expression_moves_the_landmarks_as_named():
    def points(**changes):
        return render(someone(1), setting(**changes), 128).landmarks

    rest, laugh = points(), points(mouth_open=0.8)
    assert laugh[66, 1] - laugh[62, 1] > rest[66, 1] - rest[62, 1] + 4
    assert points(smile=1)[48, 1] < rest[48, 1] - 1.5
    assert points(brow_raise=1)[19, 1] < rest[19, 1] - 1.5
    closed = points(eye_close=1)
    assert (closed[[40, 41], 1] - closed[[38, 37], 1]).max() < 0.5 * (rest[[40, 41], 1] - rest[[38, 37], 1]).min()


def test_light_comes_from_where_it_is_said_to():
    def halves(azimuth):
        drawn = render(someone(2, bald=1), setting(light_azimuth=azimuth, light_strength=1), 128)
        skin = drawn.parsing == PARTS.index('skin')
        left = skin & (np.arange(128) < 60)
        right = skin & (np.arange(128) > 68)
        return drawn.image[left].mean(), drawn.image[right].mean()

    left, right = halves(60)
    assert right > left + 10
    left, right = halves(-60)
    assert left > right + 10


def test_identity_stays_when_the_setting_changes():
    """The colors of a person's irises and hair and the proportions of its face do not depend on the setting, and the
    proportions tell people apart."""
    def proportions(k, i):
        p = render(someone(k), setting(roll=3 * i, background_hue=0.2 * i, light_azimuth=20 * i), 128).landmarks
        return np.array([np.linalg.norm(p[45] - p[36]), np.linalg.norm(p[33] - p[27]), np.linalg.norm(p[54] - p[48]),
                         np.linalg.norm(p[35] - p[31]), np.linalg.norm(p[8] - p[57])])

    table = np.stack([[proportions(k, i) for i in range(3)] for k in range(4)])  # (person, setting, proportion)
    within = np.abs(table - table.mean(1, keepdims=True)).max()
    means = table.mean(1)
    between = min(np.abs(means[a] - means[b]).max() for a in range(4) for b in range(a))
    assert between > 5 * within


def test_backdrop_belongs_to_the_attributes():
    a, b = sample_attributes(2, 1), sample_attributes(2, 5)
    first, second, elsewhere = render(someone(0), a, 64), render(someone(1), a, 64), render(someone(0), b, 64)
    free = (first.parsing == 0) & (second.parsing == 0)
    inside = np.pad(free, 2)  # away from edges, where antialiasing and blur mix
    for axis in (0, 1):
        inside = inside & np.roll(inside, 2, axis) & np.roll(inside, -2, axis)
    free = inside[2:-2, 2:-2]
    assert free.sum() > 20
    assert np.abs(first.image[free].astype(int) - second.image[free]).mean() < 2
    assert np.abs(first.image[free].astype(int) - elsewhere.image[free]).mean() > 10


def test_sizes_show_the_same_image():
    for i in range(3):
        who, where = sample_identity(4, i), sample_attributes(4, i)
        small, large = render(who, where, 64), render(who, where, 256)
        reduced = large.image.reshape(64, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(reduced - small.image).mean() < 6
        assert np.abs((small.landmarks + 0.5) * 4 - 0.5 - large.landmarks).max() < 0.05
        assert (large.parsing[2::4, 2::4] == small.parsing).mean() > 0.93
    for size in (32, 256):
        drawn = render(who, where, size)
        assert drawn.image.shape == (size, size, 3) and drawn.image.dtype == np.uint8 and drawn.parsing.shape == (size, size)


def test_edges_are_antialiased():
    """Moving a face by a fraction of a pixel changes the image by a little, not by whole pixels."""
    still = render(someone(0), setting(), 64)
    moved = render(someone(0), setting(roll=0.4), 64)
    far = render(someone(0), setting(roll=8), 64)
    assert 0 < difference(still, moved) < 0.2 * difference(still, far)


def test_drawing_is_an_exaggerated_flat_image_of_the_same_face():
    who, where = someone(3), setting(yaw=10)
    photo, drawing = render(who, where, 128), render(who, where, 128, domain='drawing')
    mean = render(np.zeros(len(IDENTITY)), where, 128)
    assert difference(photo, drawing) > 4
    assert np.linalg.norm(drawing.landmarks - mean.landmarks) > 1.2 * np.linalg.norm(photo.landmarks - mean.landmarks)
    assert part_at(drawing.parsing, drawing.landmarks[30]) == 'nose'
    assert np.abs(exaggerate(who) - who).max() > 0.2
    skin = [d.parsing == PARTS.index('skin') for d in (photo, drawing)]
    shades = [len(np.unique(d.image[s] // 4, axis=0)) for d, s in zip((photo, drawing), skin)]
    assert shades[1] < shades[0]


def test_true_swap_is_the_source_person_in_the_target_setting():
    data = SyntheticSwaps('test', 64, same_ratio=0.5, length=12, seed=5)
    samples = [data[i] for i in range(len(data))]
    assert {bool(s.same) for s in samples} == {True, False}
    for s in samples:
        if s.same:
            assert s.source_label == s.target_label and torch.equal(s.truth, s.target)
            assert not torch.equal(s.source, s.target)
        else:
            assert s.source_label != s.target_label
            assert not torch.equal(s.truth, s.target)
    for i, s in enumerate(samples):
        source, target, _, where = data.causes(i)
        assert (source, target) == (s.source_label, s.target_label)
        answer = render(sample_identity(5, source), sample_attributes(5, where), 64)
        assert np.array_equal(((s.truth + 1) * 127.5).round().byte().permute(1, 2, 0).numpy(), answer.image)
        shown = render(sample_identity(5, target), sample_attributes(5, where), 64)
        assert np.array_equal(s.target_parsing.numpy(), shown.parsing)


def test_samples_stack_into_batches_and_repeat():
    swaps = SyntheticSwaps('train', 32, length=3)
    batch = collate([swaps[i] for i in range(3)])
    assert batch.source.shape == batch.truth.shape == (3, 3, 32, 32) and batch.source.dtype == torch.float32
    assert batch.target_parsing.shape == (3, 32, 32) and batch.target_parsing.dtype == torch.int64
    assert batch.same.dtype == torch.bool and batch.source_label.dtype == torch.int64
    assert torch.equal(swaps[1].source, batch.source[1])
    assert len(list(swaps)) == 3
    pairs = SyntheticPairs('train', 32, length=2)
    assert collate([pairs[0], pairs[1]]).paired.all() and pairs[0].a_label == pairs[0].b_label
    loose = SyntheticPairs('train', 32, length=2, paired=False)[0]
    assert not loose.paired and loose.a_label != loose.b_label
    face = SyntheticFaces('train', 32, length=2)[1]
    redrawn = render(face['identity'].numpy(), face['attributes'].numpy(), 32)
    assert np.array_equal(((face['image'] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy(), redrawn.image)
    assert torch.equal(face['points'], torch.from_numpy(redrawn.points))


def test_no_person_is_in_two_splits():
    people = {split: {identity_number(split, k) for k in range(400)} for split in SPLITS}
    assert all(len(p) == 400 for p in people.values())
    assert not people['train'] & people['validation'] and not people['train'] & people['test']
    assert not people['validation'] & people['test']


@pytest.mark.parametrize('call, word', [
    (lambda: render(np.zeros(3), setting(), 64), 'vector'),
    (lambda: render(someone(0), setting(), 512), 'size'),
    (lambda: render(someone(0), setting(), 64, domain='oil'), 'domain'),
    (lambda: render(someone(0) * np.nan, setting(), 64), 'finite'),
    (lambda: SyntheticSwaps('all'), 'split'),
    (lambda: SyntheticSwaps(same_ratio=2), 'same_ratio'),
])
def test_bad_input_is_refused_in_words(call, word):
    with pytest.raises(ValueError, match=word):
        call()
