"""Color statistics in CIELAB against scikit-image."""
import pytest
import torch
from skimage.color import rgb2lab

from experiments.evaluation.metrics.color import color_difference, color_statistics, to_lab


@pytest.fixture
def images():
    return torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_lab_equals_scikit_image(images):
    images[0, :, 0, 0], images[0, :, 0, 1] = -1, 1  # black and white
    for image, lab in zip(images, to_lab(images)):
        expected = torch.from_numpy(rgb2lab(((image + 1) / 2).permute(1, 2, 0).double().numpy())).permute(2, 0, 1)
        torch.testing.assert_close(lab.double(), expected, atol=2e-2, rtol=1e-3)


def test_statistics_are_those_of_the_masked_pixels(images):
    mask = torch.zeros(2, 1, 12, 10)
    mask[..., :6, :] = 1
    mean, deviation = color_statistics(images, mask)
    inside = to_lab(images)[:, :, :6].flatten(2)
    torch.testing.assert_close(mean, inside.mean(2), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(deviation, inside.std(2, correction=0), atol=1e-3, rtol=1e-3)


def test_a_gray_face_in_colored_light_differs_in_the_mean_and_a_flat_one_in_the_deviation():
    mask = torch.ones(1, 1, 8, 8)
    stripes = torch.linspace(-0.5, 0.5, 8).expand(1, 3, 8, 8)
    orange = stripes + torch.tensor([0.4, 0.0, -0.4])[:, None, None]
    mean, deviation = color_difference(orange, stripes, mask)
    assert mean > 20 and deviation < 12
    mean, deviation = color_difference(stripes, stripes.mean((2, 3), keepdim=True).expand_as(stripes), mask)
    assert mean < 3 and deviation > 10
    assert all(value == 0 for value in color_difference(stripes, stripes, mask))


def test_an_empty_mask_gives_no_value(images):
    assert all(value.isnan().all() for value in color_difference(images, images, torch.zeros(2, 1, 12, 10)))
