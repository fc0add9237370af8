"""Source and target pairs for face swapping."""
from collections import Counter

import numpy as np
import pytest
import torch

from datasets.faces import BrokenImage
from datasets.loaders import build_listed, build_swaps
from datasets.registry import build_faces
from datasets.samples.swaps import Swaps
from datasets.transforms.joint import face_frame, into_frame
from models.batch import collate
from tests.datasets import layouts


def equal(first, second):
    return torch.equal(first.source, second.source) and torch.equal(first.target, second.target)


@pytest.fixture(scope='module')
def celeba(tmp_path_factory):
    return layouts.celeba(tmp_path_factory.mktemp('celeba'))


@pytest.fixture(scope='module')
def uneven(tmp_path_factory):
    """One identity with 40 images, four with one image each."""
    root = tmp_path_factory.mktemp('uneven')
    for i in range(40):
        layouts.write(root / 'often' / f'{i}.png', layouts.image(i, 24, 24))
    for i in range(4):
        layouts.write(root / f'once_{i}' / '0.png', layouts.image(100 + i, 24, 24))
    return root


def test_sample_depends_on_seed_epoch_and_index_only(celeba):
    first, second = (build_swaps('celeba', celeba, 32, 'train', seed=3, augment=True) for _ in range(2))
    for key in [(0, 0), (0, 11), (5, 2)]:
        assert equal(first[key], second[key])
    second.set_epoch(5)
    assert equal(first[5, 2], second[2]) and not equal(first[0, 2], second[2])
    assert not equal(first[0, 2], build_swaps('celeba', celeba, 32, 'train', seed=4, augment=True)[0, 2])


def test_batches_are_float_images_of_the_given_size(celeba):
    dataset = build_swaps('celeba', celeba, 48, 'train')
    batch = collate([dataset[i] for i in range(4)])
    assert batch.source.shape == batch.target.shape == (4, 3, 48, 48) and batch.target.dtype == torch.float32
    assert batch.target.min() >= -1 and batch.target.max() <= 1 and batch.target.std() > 0.1
    assert batch.same.dtype == torch.bool and batch.target_parsing is None


@pytest.mark.parametrize('ratio, expected', [(0, 0), (1, 1), (0.3, 0.3)])
def test_same_ratio_is_the_frequency_of_pairs_of_one_identity(celeba, ratio, expected):
    dataset = build_swaps('celeba', celeba, 8, 'train', same_ratio=ratio)
    samples = [dataset[epoch, i] for epoch in range(25) for i in range(len(dataset))]
    assert all(bool(s.same) == bool(s.source_label == s.target_label) for s in samples)
    assert abs(np.mean([float(s.same) for s in samples]) - expected) < 0.1


def test_source_of_a_same_pair_is_another_image_if_possible(celeba, uneven):
    dataset = build_swaps('celeba', celeba, 8, 'test', same_ratio=1)
    assert all(not torch.equal(dataset[i].source, dataset[i].target) for i in range(len(dataset)))
    others = Counter(round(float(dataset[epoch, 0].source.sum()), 3) for epoch in range(60))
    assert len(others) == 2 and min(others.values()) > 15  # both other images are sampled
    faces = build_faces('folder', uneven)
    single = int(np.flatnonzero(faces.identity_names[faces.labels] == 'once_2')[0])
    sample = Swaps(faces, 8, same_ratio=1)[single]
    assert torch.equal(sample.source, sample.target) and sample.same


def test_identities_are_balanced_by_the_root_of_their_image_count(uneven):
    dataset = build_swaps('folder', uneven, 8, 'all', same_ratio=0)
    often = dataset.faces.identity_names.tolist().index('often')
    samples = [dataset[epoch, i] for epoch in range(20) for i in range(len(dataset))]
    targets = np.mean([int(s.target_label) == often for s in samples])
    assert targets == pytest.approx(40 ** 0.5 / (40 ** 0.5 + 4), abs=0.06)  # 0.91 without balancing
    sources = np.mean([int(s.source_label) == often for s in samples if int(s.target_label) != often])
    assert sources == pytest.approx(1 / 4, abs=0.08)


def test_evaluation_targets_are_in_order_and_not_augmented(celeba):
    dataset = build_swaps('celeba', celeba, 128, 'test', augment=True, same_ratio=1)
    for i in range(len(dataset)):
        crop = torch.from_numpy(dataset.faces.read(i)[0][60:188, 24:152].copy()).permute(2, 0, 1) / 127.5 - 1
        assert torch.allclose(dataset[i].target, crop, atol=1e-6)  # aligned CelebA images are cropped without resampling


def test_single_identity_raises_value_error(tmp_path):
    layouts.folders(tmp_path, num_identities=1)
    with pytest.raises(ValueError, match='single identity'):
        build_swaps('folder', tmp_path, 32, 'all')
    assert build_swaps('folder', tmp_path, 32, 'all', same_ratio=1)[0].same
    with pytest.raises(ValueError, match='between 0 and 1'):
        build_swaps('folder', tmp_path, 32, 'all', same_ratio=2)


def test_unreadable_images_are_logged_once_replaced_and_counted(tmp_path, caplog):
    layouts.celeba(tmp_path)
    broken = sorted((tmp_path / 'img_align_celeba').iterdir())[:4]
    for path in broken:
        path.write_bytes(path.read_bytes()[:300])
    dataset = build_swaps('celeba', tmp_path, 16, 'all')
    assert dataset.broken == 0
    for epoch in range(12):
        for i in range(len(dataset)):
            assert dataset[epoch, i].target.std() > 0
    assert dataset.broken == 4 and dataset.readable.broken_paths == broken
    for path in broken:
        assert caplog.text.count(str(path)) == 1
    fresh = build_swaps('celeba', tmp_path, 16, 'all')  # has not read the broken images yet
    assert all(equal(fresh[7, i], dataset[7, i]) for i in range(len(dataset)))


def test_no_readable_image_raises_runtime_error(tmp_path):
    layouts.folders(tmp_path)
    for path in tmp_path.rglob('*.png'):
        path.write_bytes(b'no image')
    with pytest.raises(RuntimeError, match='no readable image'):
        build_swaps('folder', tmp_path, 16, 'all')[0]


def test_listed_pairs_are_in_the_order_of_the_list(celeba, tmp_path):
    names = [('000003.jpg', '000001.jpg'), ('000001.jpg', '000008.jpg'), ('000004.jpg', '000003.jpg')]
    path = tmp_path / 'pairs.csv'
    path.write_text('source,target\n' + '\n'.join(','.join(pair) for pair in names), encoding='utf-8-sig')
    listed, faces = build_listed('celeba', celeba, path, 64), build_faces('celeba', celeba)
    assert len(listed) == 3
    for i, (source, target) in enumerate(names):
        for name, image in ((source, listed[i].source), (target, listed[i].target)):
            read = faces.read(faces.files.tolist().index(name))
            assert torch.allclose(image, into_frame(*read, faces.frame, face_frame(64))[0] / 127.5 - 1, atol=1e-6)
    assert listed[1].same and not listed[0].same  # 1 and 8 are images of one identity
    path.write_text('source,target\n000001.jpg,999999.jpg\n')
    with pytest.raises(ValueError, match='999999.jpg'):
        build_listed('celeba', celeba, path, 64)
    path.write_bytes('source,target\nJürgen.jpg,000001.jpg\n'.encode('latin-1'))
    with pytest.raises(ValueError, match='pairs.csv.*UTF-8'):
        build_listed('celeba', celeba, path, 64)
    path.write_text('a,b\n')
    with pytest.raises(ValueError, match='columns source and target'):
        build_listed('celeba', celeba, path, 64)


def test_unreadable_listed_image_raises_broken_image(tmp_path):
    layouts.celeba(tmp_path)
    (tmp_path / 'img_align_celeba' / '000001.jpg').write_bytes(b'')
    (tmp_path / 'pairs.csv').write_text('source,target\n000002.jpg,000001.jpg\n')
    with pytest.raises(BrokenImage, match='000001.jpg'):
        build_listed('celeba', tmp_path, tmp_path / 'pairs.csv', 32)[0]


def test_target_landmarks_follow_the_augmentation(celeba, uneven):
    template = torch.tensor(face_frame(48).points)
    plain, random = (build_swaps('celeba', celeba, 48, 'train', augment=augment) for augment in (False, True))
    unaugmented = torch.stack([plain[i].target_landmarks for i in range(6)])
    assert (unaugmented - template).abs().max() < 3
    augmented = torch.stack([random[epoch, i].target_landmarks for epoch in range(4) for i in range(6)])
    assert (augmented - unaugmented[0]).abs().max() > 1
    assert (augmented[:, 0, 0] < augmented[:, 1, 0]).all() and (augmented[:, 3, 0] < augmented[:, 4, 0]).all()
    unknown = Swaps(build_faces('folder', uneven), 24)[0]
    assert unknown.target_landmarks.isnan().all() and unknown.target_landmarks.shape == (5, 2)
