"""Pairs to swap between: who is put on whom, again the same, and what augmentation may not break."""
from collections import Counter

import numpy as np
import pytest
import torch

from datasets.faces import BrokenImage
from datasets.loaders import build_faces, build_listed, build_pairs, build_swaps
from datasets.samples.swaps import Swaps
from datasets.transforms.joint import MIRRORED, Augmentation, Jitter, face_frame, into_frame
from models.batch import PARTS, collate
from models.geometry import TEMPLATES
from tests.datasets import layouts


def equal(first, second):
    return torch.equal(first.source, second.source) and torch.equal(first.target, second.target)


@pytest.fixture(scope='module')
def celeba(tmp_path_factory):
    return layouts.celeba(tmp_path_factory.mktemp('celeba'))


@pytest.fixture(scope='module')
def uneven(tmp_path_factory):
    """One person with 40 images, four with one each."""
    root = tmp_path_factory.mktemp('uneven')
    for i in range(40):
        layouts.write(root / 'often' / f'{i}.png', layouts.image(i, 24, 24))
    for i in range(4):
        layouts.write(root / f'once_{i}' / '0.png', layouts.image(100 + i, 24, 24))
    return root


def test_a_sample_is_a_pure_function_of_seed_epoch_and_index(celeba):
    first, second = (build_swaps('celeba', celeba, 32, 'train', seed=3, augment=True) for _ in range(2))
    for key in [(0, 0), (0, 11), (5, 2)]:
        assert equal(first[key], second[key])
    second.set_epoch(5)
    assert equal(first[5, 2], second[2]) and not equal(first[0, 2], second[2])
    assert not equal(first[0, 2], build_swaps('celeba', celeba, 32, 'train', seed=4, augment=True)[0, 2])


def test_batches_are_float_images_of_the_asked_size(celeba):
    dataset = build_swaps('celeba', celeba, 48, 'train')
    batch = collate([dataset[i] for i in range(4)])
    assert batch.source.shape == batch.target.shape == (4, 3, 48, 48) and batch.target.dtype == torch.float32
    assert batch.target.min() >= -1 and batch.target.max() <= 1 and batch.target.std() > 0.1
    assert batch.same.dtype == torch.bool and batch.target_parsing is None


@pytest.mark.parametrize('ratio, expected', [(0, 0), (1, 1), (0.3, 0.3)])
def test_same_ratio_is_the_share_of_pairs_of_one_person(celeba, ratio, expected):
    dataset = build_swaps('celeba', celeba, 8, 'train', same_ratio=ratio)
    samples = [dataset[epoch, i] for epoch in range(25) for i in range(len(dataset))]
    assert all(bool(s.same) == bool(s.source_label == s.target_label) for s in samples)
    assert abs(np.mean([float(s.same) for s in samples]) - expected) < 0.1


def test_same_means_another_image_where_there_is_one(celeba, uneven):
    dataset = build_swaps('celeba', celeba, 8, 'test', same_ratio=1)
    assert all(not torch.equal(dataset[i].source, dataset[i].target) for i in range(len(dataset)))
    others = Counter(round(float(dataset[epoch, 0].source.sum()), 3) for epoch in range(60))
    assert len(others) == 2 and min(others.values()) > 15  # both other images come up
    faces = build_faces('folder', uneven)
    single = int(np.flatnonzero(faces.identity_names[faces.labels] == 'once_2')[0])
    sample = Swaps(faces, 8, same_ratio=1)[single]
    assert torch.equal(sample.source, sample.target) and sample.same


def test_a_person_with_many_images_does_not_dominate(uneven):
    dataset = build_swaps('folder', uneven, 8, 'all', same_ratio=0)
    often = dataset.faces.identity_names.tolist().index('often')
    samples = [dataset[epoch, i] for epoch in range(20) for i in range(len(dataset))]
    targets = np.mean([int(s.target_label) == often for s in samples])
    assert targets == pytest.approx(40 ** 0.5 / (40 ** 0.5 + 4), abs=0.06)  # 0.91 of the images
    sources = np.mean([int(s.source_label) == often for s in samples if int(s.target_label) != often])
    assert sources == pytest.approx(1 / 4, abs=0.08)


def test_evaluation_takes_every_target_in_order_and_never_augments(celeba):
    dataset = build_swaps('celeba', celeba, 128, 'test', augment=True, same_ratio=1)
    for i in range(len(dataset)):
        crop = torch.from_numpy(dataset.faces.read(i)[0][60:188, 24:152].copy()).permute(2, 0, 1) / 127.5 - 1
        assert torch.allclose(dataset[i].target, crop, atol=1e-6)  # aligned CelebA becomes a face by a pure crop


def test_one_person_alone_cannot_be_swapped(tmp_path):
    layouts.folders(tmp_path, num_identities=1)
    with pytest.raises(ValueError, match='single identity'):
        build_swaps('folder', tmp_path, 32, 'all')
    assert build_swaps('folder', tmp_path, 32, 'all', same_ratio=1)[0].same
    with pytest.raises(ValueError, match='between 0 and 1'):
        build_swaps('folder', tmp_path, 32, 'all', same_ratio=2)


def test_broken_images_are_reported_once_skipped_and_counted(tmp_path, caplog):
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
    fresh = build_swaps('celeba', tmp_path, 16, 'all')  # which has not met the broken ones yet
    assert all(equal(fresh[7, i], dataset[7, i]) for i in range(len(dataset)))


def test_nothing_readable_is_an_error_that_says_so(tmp_path):
    layouts.folders(tmp_path)
    for path in tmp_path.rglob('*.png'):
        path.write_bytes(b'no image')
    with pytest.raises(RuntimeError, match='no readable image'):
        build_swaps('folder', tmp_path, 16, 'all')[0]


def test_broken_images_of_two_domains(tmp_path):
    layouts.domains(tmp_path)
    (tmp_path / 'testA' / 'someone_0__00.jpg').write_bytes(b'')
    dataset = build_pairs('unpaired', tmp_path, 16, 'test')
    assert torch.equal(dataset[0].a, dataset[1].a) and dataset.broken == 1


def test_listed_pairs_come_in_their_order(celeba, tmp_path):
    names = [('000003.jpg', '000001.jpg'), ('000001.jpg', '000008.jpg'), ('000004.jpg', '000003.jpg')]
    path = tmp_path / 'pairs.csv'
    path.write_text('source,target\n' + '\n'.join(','.join(pair) for pair in names), encoding='utf-8-sig')  # as Excel does
    listed, faces = build_listed('celeba', celeba, path, 64), build_faces('celeba', celeba)
    assert len(listed) == 3
    for i, (source, target) in enumerate(names):
        for name, seen in ((source, listed[i].source), (target, listed[i].target)):
            read = faces.read(faces.files.tolist().index(name))
            assert torch.allclose(seen, into_frame(*read, faces.frame, face_frame(64))[0] / 127.5 - 1, atol=1e-6)
    assert listed[1].same and not listed[0].same  # 1 and 8 are images of one person
    path.write_text('source,target\n000001.jpg,999999.jpg\n')
    with pytest.raises(ValueError, match='999999.jpg'):
        build_listed('celeba', celeba, path, 64)
    path.write_bytes('source,target\nJürgen.jpg,000001.jpg\n'.encode('latin-1'))
    with pytest.raises(ValueError, match='pairs.csv.*UTF-8'):
        build_listed('celeba', celeba, path, 64)
    path.write_text('a,b\n')
    with pytest.raises(ValueError, match='columns source and target'):
        build_listed('celeba', celeba, path, 64)


def test_an_unreadable_listed_image_is_never_replaced(tmp_path):
    layouts.celeba(tmp_path)
    (tmp_path / 'img_align_celeba' / '000001.jpg').write_bytes(b'')
    (tmp_path / 'pairs.csv').write_text('source,target\n000002.jpg,000001.jpg\n')
    with pytest.raises(BrokenImage, match='000001.jpg'):
        build_listed('celeba', tmp_path, tmp_path / 'pairs.csv', 32)[0]


def face_with_labels(size=64):
    labels = np.zeros((size, size), np.uint8)
    for part, (x, y) in {'l_eye': (20, 24), 'r_eye': (46, 22), 'l_ear': (4, 30), 'nose': (30, 34)}.items():
        labels[y - 2:y + 3, x - 2:x + 3] = PARTS.index(part)
    points = np.array([[20, 24], [46, 22], [30, 34], [22, 48], [42, 47]], np.float32)
    return layouts.image(1, size, size), labels, points


def middle(labels, part):
    ys, xs = torch.nonzero(labels == PARTS.index(part), as_tuple=True)
    return torch.stack([xs.float().mean(), ys.float().mean()])


def test_a_flip_swaps_the_labels_and_landmarks_of_the_two_sides():
    image, labels, points = face_with_labels()
    to = face_frame(64)
    plain = into_frame(image, labels, points, to, to)
    flipped = into_frame(image, labels, points, to, to, Jitter(flip=True))
    assert torch.equal(flipped[0], plain[0].flip(-1))
    for part, mirror in (('l_eye', 'r_eye'), ('r_eye', 'l_eye'), ('nose', 'nose'), ('r_ear', 'l_ear')):
        assert torch.equal(middle(flipped[1], part), torch.tensor([63., 0.]) + middle(plain[1], mirror) * torch.tensor([-1., 1.]))
    assert flipped[2].tolist() == [[17, 22], [43, 24], [33, 34], [21, 47], [41, 48]]
    assert (MIRRORED[MIRRORED] == np.arange(256)).all()


@pytest.mark.parametrize('jitter', [Jitter(angle=9, scale=1.1, shift=(0.05, -0.03)), Jitter(flip=True, angle=-20, scale=0.9)])
def test_image_labels_and_landmarks_move_together(jitter):
    image, labels, points = face_with_labels()
    image = np.zeros_like(image)
    image[22:27, 18:23] = 255  # lit where l_eye is
    to = face_frame(64)
    moved, seen, at = into_frame(image, labels, points, to, to, jitter)
    eye, index = ('r_eye', 1) if jitter.flip else ('l_eye', 0)
    light = moved[0].float()
    ys, xs = torch.meshgrid(torch.arange(64.), torch.arange(64.), indexing='ij')
    spot = torch.stack([(light * xs).sum(), (light * ys).sum()]) / light.sum()
    assert torch.allclose(spot, at[index], atol=0.1) and torch.allclose(middle(seen, eye), at[index], atol=0.6)


def test_color_jitter_touches_the_image_only_and_stays_in_range():
    image, labels, points = face_with_labels()
    to = face_frame(64)
    plain = into_frame(image, labels, points, to, to)
    gray, seen, at = into_frame(image, labels, points, to, to, Jitter(saturation=0))
    assert torch.equal(gray[0], gray[2]) and torch.equal(seen, plain[1]) and torch.equal(at, plain[2])
    bright = into_frame(image, None, None, to, to, Jitter(brightness=1.3, contrast=1.2))[0]
    assert bright.float().mean() > plain[0].float().mean() + 20
    white = np.full((64, 64, 3), 250, np.uint8)
    assert into_frame(white, None, None, to, to, Jitter(brightness=1.3))[0].min() == 255  # limited, not wrapped around


def test_draws_stay_within_the_stated_range():
    rng = np.random.default_rng(0)
    draws = [Augmentation(flip=0.5, angle=3, scale=0.1).sample(rng) for _ in range(400)]
    assert 0.4 < np.mean([draw.flip for draw in draws]) < 0.6
    assert 2.5 < max(abs(draw.angle) for draw in draws) <= 3
    assert all(0.9 <= draw.scale <= 1.1 for draw in draws)


def test_a_wider_frame_shows_the_face_smaller_in_the_middle():
    wide, face = face_frame(128, side=160), TEMPLATES['face']
    expected = (face.tensor() - 63.5) * 0.8 + 63.5
    assert torch.allclose(wide.tensor(), expected, atol=1e-3)


def test_the_targets_landmarks_go_where_its_image_goes(celeba, uneven):
    template = torch.tensor(face_frame(48).points)
    plain, moved = (build_swaps('celeba', celeba, 48, 'train', augment=augment) for augment in (False, True))
    still = torch.stack([plain[i].target_landmarks for i in range(6)])
    assert (still - template).abs().max() < 3, 'landmarks of faces in the template lie near its points'
    away = torch.stack([moved[epoch, i].target_landmarks for epoch in range(4) for i in range(6)])
    assert (away - still[0]).abs().max() > 1
    assert (away[:, 0, 0] < away[:, 1, 0]).all() and (away[:, 3, 0] < away[:, 4, 0]).all(), 'left stays left'
    unknown = Swaps(build_faces('folder', uneven), 24)[0]
    assert unknown.target_landmarks.isnan().all() and unknown.target_landmarks.shape == (5, 2)
