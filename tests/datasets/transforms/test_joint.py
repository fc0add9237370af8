"""Joint transforms of images, label maps and landmarks."""

import numpy as np
import pytest
import torch

from datasets.transforms.joint import MIRRORED, Augmentation, Jitter, face_frame, into_frame
from models.batch import PARTS
from models.geometry import TEMPLATES
from tests.datasets import layouts


def face_with_labels(size=64):
    labels = np.zeros((size, size), np.uint8)
    for part, (x, y) in {'l_eye': (20, 24), 'r_eye': (46, 22), 'l_ear': (4, 30), 'nose': (30, 34)}.items():
        labels[y - 2:y + 3, x - 2:x + 3] = PARTS.index(part)
    points = np.array([[20, 24], [46, 22], [30, 34], [22, 48], [42, 47]], np.float32)
    return layouts.image(1, size, size), labels, points


def part_center(labels, part):
    ys, xs = torch.nonzero(labels == PARTS.index(part), as_tuple=True)
    return torch.stack([xs.float().mean(), ys.float().mean()])


def test_flip_exchanges_left_and_right_labels_and_landmarks():
    image, labels, points = face_with_labels()
    to = face_frame(64)
    plain = into_frame(image, labels, points, to, to)
    flipped = into_frame(image, labels, points, to, to, Jitter(flip=True))
    assert torch.equal(flipped[0], plain[0].flip(-1))
    for part, mirror in (('l_eye', 'r_eye'), ('r_eye', 'l_eye'), ('nose', 'nose'), ('r_ear', 'l_ear')):
        expected = torch.tensor([63., 0.]) + part_center(plain[1], mirror) * torch.tensor([-1., 1.])
        assert torch.equal(part_center(flipped[1], part), expected)
    assert flipped[2].tolist() == [[17, 22], [43, 24], [33, 34], [21, 47], [41, 48]]
    assert (MIRRORED[MIRRORED] == np.arange(256)).all()


@pytest.mark.parametrize('jitter', [Jitter(angle=9, scale=1.1, shift=(0.05, -0.03)), Jitter(flip=True, angle=-20, scale=0.9)])
def test_image_labels_and_landmarks_move_together(jitter):
    image, labels, points = face_with_labels()
    image = np.zeros_like(image)
    image[22:27, 18:23] = 255  # lit where l_eye is
    to = face_frame(64)
    warped, label_map, landmarks = into_frame(image, labels, points, to, to, jitter)
    eye, index = ('r_eye', 1) if jitter.flip else ('l_eye', 0)
    light = warped[0].float()
    ys, xs = torch.meshgrid(torch.arange(64.), torch.arange(64.), indexing='ij')
    spot = torch.stack([(light * xs).sum(), (light * ys).sum()]) / light.sum()
    assert torch.allclose(spot, landmarks[index], atol=0.1)
    assert torch.allclose(part_center(label_map, eye), landmarks[index], atol=0.6)


def test_color_jitter_changes_the_image_only_and_is_clamped():
    image, labels, points = face_with_labels()
    to = face_frame(64)
    plain = into_frame(image, labels, points, to, to)
    gray, label_map, landmarks = into_frame(image, labels, points, to, to, Jitter(saturation=0))
    assert torch.equal(gray[0], gray[2]) and torch.equal(label_map, plain[1]) and torch.equal(landmarks, plain[2])
    bright = into_frame(image, None, None, to, to, Jitter(brightness=1.3, contrast=1.2))[0]
    assert bright.float().mean() > plain[0].float().mean() + 20
    white = np.full((64, 64, 3), 250, np.uint8)
    assert into_frame(white, None, None, to, to, Jitter(brightness=1.3))[0].min() == 255


def test_jitter_is_within_its_ranges():
    rng = np.random.default_rng(0)
    jitters = [Augmentation(flip=0.5, angle=3, scale=0.1).sample(rng) for _ in range(400)]
    assert 0.4 < np.mean([jitter.flip for jitter in jitters]) < 0.6
    assert 2.5 < max(abs(jitter.angle) for jitter in jitters) <= 3
    assert all(0.9 <= jitter.scale <= 1.1 for jitter in jitters)


def test_random_crops_are_inside_the_image():
    jitters = [Augmentation(crops=1.0).sample(np.random.default_rng(i)) for i in range(50)]
    assert len({jitter.scale for jitter in jitters}) > 40
    for jitter in jitters:
        assert 1 <= jitter.scale <= 0.748 ** -0.5 + 1e-6
        assert max(map(abs, jitter.shift)) <= (jitter.scale - 1) / 2 + 1e-6


def test_wider_frame_has_a_smaller_face_at_the_center():
    wide, face = face_frame(128, side=160), TEMPLATES['face']
    expected = (face.tensor() - 63.5) * 0.8 + 63.5
    assert torch.allclose(wide.tensor(), expected, atol=1e-3)
