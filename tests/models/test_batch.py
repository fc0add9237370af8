"""Mapping, transfer and collation of batches."""
import pytest
import torch

from models.batch import PairBatch, SwapBatch, collate

IMAGES = torch.zeros(2, 3, 4, 4)


def test_map_applies_to_each_tensor():
    batch = PairBatch(IMAGES, IMAGES + 1, torch.tensor([True, False]), a_label=torch.arange(2))
    mapped = batch.map(lambda value: value[:1])
    assert isinstance(mapped, PairBatch) and len(mapped) == 1
    assert torch.equal(mapped.b, batch.b[:1]) and torch.equal(mapped.a_label, torch.tensor([0]))
    assert mapped.b_label is None


def test_to_keeps_the_type_and_absent_fields():
    batch = SwapBatch(IMAGES, IMAGES, torch.tensor([True, False])).to('meta')
    assert batch.source.is_meta and batch.same.is_meta and batch.target_parsing is None


def test_collate_stacks_samples():
    sample = SwapBatch(IMAGES[0], IMAGES[0], torch.tensor(True))
    batch = collate([sample] * 3)
    assert len(batch) == 3 and batch.source.shape == (3, 3, 4, 4) and batch.truth is None


def test_batches_are_frozen():
    with pytest.raises(AttributeError):
        SwapBatch(IMAGES, IMAGES, torch.tensor([True, False])).source = IMAGES
