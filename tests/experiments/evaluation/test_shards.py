"""Arrays in batches on disk."""
import numpy as np
import pytest
import torch

from experiments.evaluation.shards import Shards


@pytest.fixture
def shards(tmp_path):
    shards = Shards(tmp_path, 5, 2)
    for part in shards.parts():
        shards.write(part, {'index': np.arange(part.start, part.stop), 'features': torch.ones(len(part), 3), 'absent': None})
    return shards


def test_arrays_are_concatenated_in_order(shards):
    assert shards.whole('index').tolist() == [0, 1, 2, 3, 4]
    assert shards.find('index', 3).tolist() == [0, 1, 2] and shards.find('features').shape == (5, 3)
    assert list(shards.per_sample()) == ['index']


def test_missing_arrays_are_none_or_an_error(shards):
    assert shards.find('absent') is None
    with pytest.raises(KeyError, match='absent'):
        shards.whole('absent')


def test_arrays_of_earlier_versions_have_their_new_names(tmp_path):
    shards = Shards(tmp_path, 2, 2)
    np.savez(tmp_path / '000000.npz', source_person=np.arange(2), wanted_colours=np.zeros((2, 3, 64), np.float32))
    assert shards.whole('source_label').tolist() == [0, 1] and shards.whole('target_colors').shape == (2, 3, 64)
    assert set(shards.read(range(0, 2))) == {'source_label', 'target_colors'}
