"""Data sets of rendered faces."""
import numpy as np
import pytest
import torch

from datasets.synthetic import (
    SPLITS,
    SyntheticFaces,
    SyntheticPairs,
    SyntheticSwaps,
    identity_number,
    render,
    sample_attributes,
    sample_identity,
)
from models.batch import collate
from models.images import to_uint8


def test_truth_has_the_source_identity_and_the_target_attributes():
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
        source, target, _, target_attributes = data.numbers(i)
        assert (source, target) == (s.source_label, s.target_label)
        expected = render(sample_identity(5, source), sample_attributes(5, target_attributes), 64)
        assert np.array_equal(to_uint8(s.truth), expected.image)
        expected = render(sample_identity(5, target), sample_attributes(5, target_attributes), 64)
        assert np.array_equal(s.target_parsing.numpy(), expected.parsing)


def test_samples_are_collated_and_deterministic():
    swaps = SyntheticSwaps('train', 32, length=3)
    batch = collate([swaps[i] for i in range(3)])
    assert batch.source.shape == batch.truth.shape == (3, 3, 32, 32) and batch.source.dtype == torch.float32
    assert batch.target_parsing.shape == (3, 32, 32) and batch.target_parsing.dtype == torch.int64
    assert batch.same.dtype == torch.bool and batch.source_label.dtype == torch.int64
    assert torch.equal(swaps[1].source, batch.source[1])
    assert len(list(swaps)) == 3
    pairs = SyntheticPairs('train', 32, length=2)
    assert collate([pairs[0], pairs[1]]).paired.all() and pairs[0].a_label == pairs[0].b_label
    unpaired = SyntheticPairs('train', 32, length=2, paired=False)[0]
    assert not unpaired.paired and unpaired.a_label != unpaired.b_label
    face = SyntheticFaces('train', 32, length=2)[1]
    rendering = render(face['identity'].numpy(), face['attributes'].numpy(), 32)
    assert np.array_equal(to_uint8(face['image']), rendering.image)
    assert torch.equal(face['points'], torch.from_numpy(rendering.points))


def test_splits_are_disjoint():
    numbers = {split: {identity_number(split, k) for k in range(400)} for split in SPLITS}
    assert all(len(split_numbers) == 400 for split_numbers in numbers.values())
    assert not numbers['train'] & numbers['validation'] and not numbers['train'] & numbers['test']
    assert not numbers['validation'] & numbers['test']


@pytest.mark.parametrize('arguments, message', [({'split': 'all'}, 'split'), ({'same_ratio': 2}, 'same_ratio'),
                                                ({'num_identities': 1}, 'num_identities')])
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        SyntheticSwaps(**arguments)
