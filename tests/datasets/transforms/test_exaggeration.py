"""Features go away from the mean face, and the rest of the image stays."""
import numpy as np
import torch

from datasets.transforms.exaggeration import exaggerate_image
from models.geometry import TEMPLATES

TO = TEMPLATES['face'].scaled(96)


class Full:
    """Always the whole amount."""

    def random(self):
        return 1.0

    def normal(self, mean, deviation, shape):
        return np.full(shape, deviation)


def center(image):
    """(x, y) of the light in the lower half, where the nose is."""
    light = image[0].double()
    light[:40] = 0
    ys, xs = torch.meshgrid(torch.arange(96), torch.arange(96), indexing='ij')
    return torch.stack([(light * xs).sum(), (light * ys).sum()]) / light.sum()


def nose(at):
    image = torch.zeros(3, 96, 96, dtype=torch.uint8)
    x, y = at.round().int().tolist()
    image[:, y - 1:y + 2, x - 1:x + 2] = 255
    return image


def test_a_nose_off_its_place_goes_farther_and_one_in_its_place_stays():
    points = TO.tensor()
    points[2] += torch.tensor([4.0, 3.0])
    before = nose(points[2])
    step = center(exaggerate_image(before, points, TO, 1.0, Full())) - center(before)
    assert (step - torch.tensor([4.0, 3.0])).abs().max() < 1.0
    still = nose(TO.tensor()[2])
    assert torch.equal(exaggerate_image(still, TO.tensor(), TO, 1.0, Full()), still)
    assert torch.equal(exaggerate_image(before, points, TO, 0.0, Full()), before)


def test_without_landmarks_it_still_moves_and_repeats():
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 96, 96), dtype=np.uint8))
    first, again, other = (exaggerate_image(image, None, TO, 1.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, image)
    assert first.dtype == torch.uint8
