"""Rendered objects in front of faces."""
import numpy as np
import pytest

from datasets.samples.parsing import RenderedFaces
from datasets.synthetic import render, sample_attributes, sample_identity
from datasets.synthetic.occluders import OCCLUDERS, occlude
from models.batch import PARTS


@pytest.mark.parametrize('kind', OCCLUDERS)
@pytest.mark.parametrize('size', [64, 128])
def test_an_object_changes_the_pixels_of_its_mask_and_hardly_any_other(kind, size):
    clear = render(sample_identity(0, 3), sample_attributes(0, 5), size)
    shares = []
    for seed in range(4):
        image, mask = occlude(clear.image, kind, np.random.default_rng(seed), clear.points)
        again, _ = occlude(clear.image, kind, np.random.default_rng(seed), clear.points)
        np.testing.assert_array_equal(image, again)
        change = np.abs(image.astype(int) - clear.image).max(2)
        shares.append(mask.mean())
        assert image.dtype == np.uint8 and image.shape == clear.image.shape and mask.shape == (size, size)
        assert (change[~mask] > 40).mean() < 0.06 and change[mask].mean() > 4 * change[~mask].mean()
    assert 0.005 < np.mean(shares) < 0.5


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match='hand, microphone'):
        occlude(np.zeros((64, 64, 3), np.uint8), 'cat', np.random.default_rng(0))


def test_a_training_image_is_labeled_as_what_is_in_front():
    clear, hidden = RenderedFaces('train', 64), RenderedFaces('train', 64, occluded=1.0)
    changed = []
    for index in range(12):
        plain = clear.sample(index, np.random.default_rng(index)).labels
        assert (plain == clear.sample(index).labels).all(), 'nothing is in front unless asked for'
        labels = hidden.sample(index, np.random.default_rng(index)).labels
        changed.append(float((labels != plain).float().mean()))
        assert set(labels[labels != plain].tolist()) <= {0, PARTS.index('eye_g')}
    assert np.mean(changed) > 0.02 and (hidden.sample(0).labels == clear.sample(0).labels).all()
