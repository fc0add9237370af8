"""Synthetic occluders of faces."""
import numpy as np
import pytest

from datasets.samples.parsing import RenderedFaces
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.synthetic.occluders import OCCLUDERS, occlude
from models.batch import PARTS


@pytest.mark.parametrize('kind', OCCLUDERS)
@pytest.mark.parametrize('size', [64, 128])
def test_occluder_changes_pixels_inside_its_mask(kind, size):
    unoccluded = render(sample_identity(0, 3), sample_attributes(0, 5), size)
    area_fractions = []
    for seed in range(4):
        image, mask = occlude(unoccluded.image, kind, np.random.default_rng(seed), unoccluded.points)
        repeated, _ = occlude(unoccluded.image, kind, np.random.default_rng(seed), unoccluded.points)
        np.testing.assert_array_equal(image, repeated)
        change = np.abs(image.astype(int) - unoccluded.image).max(2)
        area_fractions.append(mask.mean())
        assert image.dtype == np.uint8 and image.shape == unoccluded.image.shape and mask.shape == (size, size)
        assert (change[~mask] > 40).mean() < 0.06 and change[mask].mean() > 4 * change[~mask].mean()
    assert 0.005 < np.mean(area_fractions) < 0.5


def test_unknown_kind_raises():
    with pytest.raises(ValueError, match='hand, microphone'):
        occlude(np.zeros((64, 64, 3), np.uint8), 'cat', np.random.default_rng(0))


def test_training_labels_are_those_of_the_occluder():
    unoccluded, occluded = RenderedFaces('train', 64), RenderedFaces('train', 64, occluded=1.0)
    changed_fractions = []
    for index in range(12):
        expected = unoccluded.sample(index, np.random.default_rng(index)).labels
        assert (expected == unoccluded.sample(index).labels).all(), 'occluders are opt-in'
        labels = occluded.sample(index, np.random.default_rng(index)).labels
        changed_fractions.append(float((labels != expected).float().mean()))
        assert set(labels[labels != expected].tolist()) <= {0, PARTS.index('eye_g')}
    assert np.mean(changed_fractions) > 0.02 and (occluded.sample(0).labels == unoccluded.sample(0).labels).all()
