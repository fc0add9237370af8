"""Exaggeration of facial features in images."""
import numpy as np
import torch

from datasets.transforms.exaggeration import exaggerate_image
from models.geometry import TEMPLATES

TO = TEMPLATES['face'].scaled(96)


class MaximalRandom:
    """Random generator whose values are maximal: 1 for uniform, one standard deviation for normal values."""

    def random(self):
        return 1.0

    def normal(self, mean, deviation, shape):
        return np.full(shape, deviation)


def center(image):
    """(x, y): center of brightness of the lower part of the image."""
    light = image[0].double()
    light[:40] = 0
    ys, xs = torch.meshgrid(torch.arange(96), torch.arange(96), indexing='ij')
    return torch.stack([(light * xs).sum(), (light * ys).sum()]) / light.sum()


def nose(at):
    image = torch.zeros(3, 96, 96, dtype=torch.uint8)
    x, y = at.round().int().tolist()
    image[:, y - 1:y + 2, x - 1:x + 2] = 255
    return image


def test_offset_of_the_nose_is_doubled_and_a_mean_nose_is_unchanged():
    points = TO.tensor()
    points[2] += torch.tensor([4.0, 3.0])
    before = nose(points[2])
    step = center(exaggerate_image(before, points, TO, 1.0, MaximalRandom())) - center(before)
    assert (step - torch.tensor([4.0, 3.0])).abs().max() < 1.0
    mean_nose = nose(TO.tensor()[2])
    assert torch.equal(exaggerate_image(mean_nose, TO.tensor(), TO, 1.0, MaximalRandom()), mean_nose)
    assert torch.equal(exaggerate_image(before, points, TO, 0.0, MaximalRandom()), before)


def test_random_offsets_without_landmarks_depend_on_the_generator():
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 96, 96), dtype=np.uint8))
    first, again, other = (exaggerate_image(image, None, TO, 1.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, image)
    assert first.dtype == torch.uint8
