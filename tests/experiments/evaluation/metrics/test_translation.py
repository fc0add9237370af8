"""Edge agreement and color distance against scipy."""
import pytest
import torch
from scipy import ndimage
from scipy.stats import wasserstein_distance

from experiments.evaluation.metrics.translation import BINS, color_distance, color_histogram, edge_agreement, edges


@pytest.fixture
def images():
    return torch.rand(2, 3, 24, 20, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_edges_equal_scipys_sobel(images):
    gray = (images[0].double().numpy() * [[[0.299]], [[0.587]], [[0.114]]]).sum(0)
    expected = (ndimage.sobel(gray, 0, mode='nearest') ** 2 + ndimage.sobel(gray, 1, mode='nearest') ** 2) ** 0.5
    assert torch.allclose(edges(images)[0, 0].double(), torch.from_numpy(expected), atol=1e-5)
    assert edge_agreement(images, -0.4 * images + 0.1).tolist() == pytest.approx([1, 1], abs=1e-4)
    assert edge_agreement(images, images.flip(0)).abs().max() < 0.3


def test_color_distance_equals_scipys_of_binned_values(images):
    first, second = images[:1], images[1:] * 0.5
    binned = [((x + 1) / 2 * BINS).floor().clamp(0, BINS - 1) / BINS for x in (first, second)]
    expected = sum(wasserstein_distance(a.flatten().numpy(), b.flatten().numpy())
                   for a, b in zip(binned[0][0], binned[1][0])) / 3
    distance = color_distance(color_histogram(first)[0], color_histogram(second)[0])
    assert distance == pytest.approx(expected, rel=1e-4)
