"""Loaders: resumable streams of batches, ranks, workers."""
import itertools
from dataclasses import fields

import numpy as np
import pytest
import torch

from datasets.loaders import ResumableSampler, build_loader, build_swaps
from models.batch import collate
from tests.datasets import layouts


@pytest.fixture(scope='module')
def swaps(tmp_path_factory):
    return build_swaps('celeba', layouts.celeba(tmp_path_factory.mktemp('celeba')), 16, 'train', seed=1, augment=True)


def take(loader, count):
    return list(itertools.islice(loader, count))


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second):
        assert torch.equal(a.source, b.source) and torch.equal(a.target, b.target)


@pytest.mark.parametrize('workers', [0, 2])
def test_resumed_loader_continues_with_the_next_batch(swaps, workers):
    whole = take(build_loader(swaps, 5, seed=7), 7)  # over several epochs of two batches each
    loader = build_loader(swaps, 5, seed=7, workers=workers)
    first = take(loader, 3)
    state = loader.batch_sampler.state_dict()
    assert (state['epoch'], state['position']) == (1, 1)  # prefetched batches do not count
    resumed = build_loader(swaps, 5, seed=7, workers=workers)
    resumed.batch_sampler.load_state_dict(state)
    assert_equal(first + take(resumed, 4), whole)


@pytest.mark.parametrize('workers', [0, 1])
def test_batches_equal_collated_samples(swaps, workers):
    loader = build_loader(swaps, 5, seed=7, workers=workers)
    samples = collate([swaps[key] for key in next(iter(loader.batch_sampler))])
    batch = next(iter(loader))
    for field in fields(batch):
        torch.testing.assert_close(getattr(batch, field.name), getattr(samples, field.name), rtol=0, atol=0, equal_nan=True)
    assert batch.source.dtype == torch.float32 and batch.source_label.dtype == torch.int64


def test_returned_batches_are_not_overwritten(tmp_path):
    swaps = build_swaps('celeba', layouts.celeba(tmp_path), 64, 'train', seed=1, augment=True)  # in shared memory
    assert_equal(take(build_loader(swaps, 5, seed=7, workers=2), 24), take(build_loader(swaps, 5, seed=7), 24))


def test_loader_does_not_change_the_global_random_state(swaps):
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1]
    take(build_loader(swaps, 4, seed=7), 2)
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])


def test_each_epoch_is_another_permutation():
    sampler = ResumableSampler(12, 3, seed=0)
    epochs = [[key for batch in take(itertools.islice(iter(sampler), e * 4, e * 4 + 4), 4) for key in batch] for e in range(2)]
    for number, keys in enumerate(epochs):
        assert {epoch for epoch, _ in keys} == {number} and sorted(index for _, index in keys) == list(range(12))
    assert [i for _, i in epochs[0]] != [i for _, i in epochs[1]]
    other = ResumableSampler(12, 3, seed=1)
    assert next(iter(other)) != next(iter(sampler))


def test_ranks_divide_each_global_batch():
    single = take(ResumableSampler(26, 6, seed=5), 9)
    ranks = [take(ResumableSampler(26, 3, seed=5, rank=rank, world_size=2), 9) for rank in range(2)]
    assert [a + b for a, b in zip(*ranks)] == single


def test_short_data_set_is_repeated_to_fill_a_batch():
    batch = next(iter(ResumableSampler(3, 8, seed=0)))
    assert len(batch) == 8 and {index for _, index in batch} == {0, 1, 2}


def test_unshuffled_loader_is_one_ordered_pass_per_rank(swaps):
    batches = [list(ResumableSampler(7, 2, seed=0, rank=rank, world_size=2, shuffle=False)) for rank in range(2)]
    assert batches[0] == [[(0, 0), (0, 2)], [(0, 4), (0, 6)]] and batches[1] == [[(0, 1), (0, 3)], [(0, 5)]]
    loader = build_loader(swaps, 5, shuffle=False)
    first, second = list(loader), list(loader)
    assert [len(batch) for batch in first] == [5, 5, 2] and len(loader) == 3
    assert_equal(first, second)


def test_loading_the_state_of_another_layout_raises_value_error():
    state = ResumableSampler(30, 4, seed=0).state_dict()
    with pytest.raises(ValueError, match='batch_size 4 -> 5'):
        ResumableSampler(30, 5, seed=0).load_state_dict(state)
    with pytest.raises(ValueError, match='length 30 -> 31'):
        ResumableSampler(31, 4, seed=0).load_state_dict(state)


def test_invalid_length_or_rank_raises_value_error():
    with pytest.raises(ValueError, match='at least one'):
        ResumableSampler(0, 4, seed=0)
    with pytest.raises(ValueError, match='rank 2'):
        ResumableSampler(9, 4, seed=0, rank=2, world_size=2)


def test_unreadable_images_of_workers_are_counted_in_the_main_process(tmp_path):
    layouts.celeba(tmp_path)
    for path in sorted((tmp_path / 'img_align_celeba').iterdir())[:3]:
        path.write_bytes(b'')
    dataset = build_swaps('celeba', tmp_path, 16, 'all')
    batches = take(build_loader(dataset, 6, workers=2), 30)
    assert dataset.broken == 3 and all(len(batch) == 6 for batch in batches)
