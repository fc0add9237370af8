"""Reversed pairs of a cache, and samples of them."""
import numpy as np
import pytest
import torch

from datasets import cache
from datasets.faces import PARTITIONS
from datasets.loaders import build_faces, build_loader, build_swaps
from datasets.samples import reversed as reversed_pairs
from datasets.samples.reversed import ReversedPairs, reverse
from datasets.transforms.joint import face_frame
from models.batch import PARTS
from tests.datasets import layouts

FILES = (reversed_pairs.IMAGES_FILE, reversed_pairs.PARSING_FILE, reversed_pairs.INDEX_FILE)


def negative(batch):
    """A swapper whose swap is the inverted target."""
    return -batch.target


def nose(images):
    """A parser that labels all pixels as nose."""
    return torch.full((len(images), *images.shape[2:]), PARTS.index('nose'))


@pytest.fixture
def folder(tmp_path):
    """A cache of 21 images of 7 identities, four of them in the partition train, labeled as skin."""
    cache.pack(build_faces('celeba', layouts.celeba(tmp_path / 'celeba')), tmp_path / 'cache', face_frame(32))
    cache.label(tmp_path / 'cache', lambda images: torch.ones(len(images), *images.shape[2:], dtype=torch.int64))
    return tmp_path / 'cache'


def test_only_training_images_are_reversed_by_identities_of_the_same_partition(folder):
    assert reverse(folder, negative, nose, name='negative', per_image=2, batch=5) == 2 * 12
    faces = cache.PackedFaces(folder)
    pairs, train = ReversedPairs(faces), faces.splits == PARTITIONS.index('train')
    assert [pairs.has(int(row)) for row in faces.rows] == train.tolist()
    for index in np.flatnonzero(train):
        image, labels, swapped_label = pairs.read(int(faces.rows[index]), np.random.default_rng(0))
        assert abs(image.astype(int) - (255 - faces.read(int(index))[0].astype(int))).max() <= 1
        assert (labels == PARTS.index('nose')).all()
        assert swapped_label != faces.labels[index] and swapped_label in faces.labels[train]


def test_an_interrupted_call_resumes_to_the_same_bytes(folder, tmp_path):
    calls = []

    def failing(batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return negative(batch)

    with pytest.raises(KeyboardInterrupt):
        reverse(folder, failing, nose, name='negative', batch=5)
    assert not (folder / FILES[2]).exists()
    reverse(folder, negative, nose, name='negative', batch=5)
    resumed = [(folder / name).read_bytes() for name in FILES[:2]]
    (folder / FILES[2]).unlink()
    reverse(folder, negative, nose, name='negative', batch=5)
    assert resumed == [(folder / name).read_bytes() for name in FILES[:2]]
    assert not list(folder.glob('*.part'))


@pytest.mark.parametrize('change', [{'name': 'other'}, {'per_image': 1}, {'seed': 1}])
def test_pairs_of_another_swapper_are_refused(folder, change):
    options = {'name': 'negative', 'per_image': 2, 'seed': 0}
    reverse(folder, negative, nose, **options)
    reverse(folder, None, None, **options)  # complete: neither network is called
    with pytest.raises(ValueError, match='another swapper or other options; delete reversed.npz'):
        reverse(folder, negative, nose, **{**options, **change})


def test_a_cache_without_label_maps_is_refused(tmp_path):
    cache.pack(build_faces('celeba', layouts.celeba(tmp_path / 'celeba')), tmp_path / 'cache', face_frame(32))
    with pytest.raises(ValueError, match='no parsing maps; add them with scripts/prepare_data.py label'):
        reverse(tmp_path / 'cache', negative, nose, name='negative')


def test_a_reversed_sample_holds_the_truth_under_the_same_augmentation(folder):
    reverse(folder, negative, nose, name='negative')
    swaps = build_swaps('cache', folder, 32, 'train', same_ratio=0.0, reversed_ratio=1.0, augment=True, seed=3)
    batch = swaps.batch([(0, index) for index in range(12)])
    assert batch.has_truth.all() and (batch.target_parsing == PARTS.index('nose')).all()
    assert (batch.source_label != batch.target_label).all() and not batch.same.any()
    faces, labels = swaps.faces, set()
    for row, (truth, target) in enumerate(zip(batch.truth, batch.target)):
        correlation = torch.corrcoef(torch.stack([truth.flatten().float(), target.flatten().float()]))[0, 1]
        assert correlation < -0.9  # the inverted image, under the same augmentation as the truth
        labels.add(int(batch.source_label[row]))
    assert labels <= set(faces.labels.tolist()) and len(labels) > 1


def test_half_of_the_samples_are_reversed_and_the_others_unchanged(folder):
    reverse(folder, negative, nose, name='negative')
    mixed = build_swaps('cache', folder, 32, 'train', reversed_ratio=0.5, seed=1)
    batch = mixed.batch([(epoch, index) for epoch in range(20) for index in range(12)])
    assert 0.4 < batch.has_truth.float().mean() < 0.6
    plain = ~batch.has_truth
    assert torch.equal(batch.truth[plain], batch.target[plain])
    assert torch.equal(batch.same[plain], (batch.source_label == batch.target_label)[plain])
    loaded = next(iter(build_loader(mixed, 6, seed=1)))
    assert loaded.truth.dtype == torch.float32 and loaded.has_truth.dtype == torch.bool


def test_validation_samples_are_not_reversed(folder):
    reverse(folder, negative, nose, name='negative')
    assert build_swaps('cache', folder, 32, 'test', reversed_ratio=1.0)[0].truth is None


def test_missing_reversed_pairs_raise_value_error(folder, tmp_path):
    with pytest.raises(ValueError, match='holds no reversed pairs; write them with scripts/prepare_data.py reverse'):
        build_swaps('cache', folder, 32, reversed_ratio=0.5)
    with pytest.raises(ValueError, match='is no cache, and reversed pairs are part of a cache'):
        build_swaps('celeba', tmp_path / 'celeba', 32, reversed_ratio=0.5)
