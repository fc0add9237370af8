"""Single faces with identity labels."""
import numpy as np
import pytest
import torch
from PIL import Image

from datasets.loaders import build_loader
from datasets.registry import build_faces
from datasets.samples.identities import IdentityImages, PhotoDrawingPairs, build_identities
from models import geometry
from models.batch import FaceBatch
from tests.datasets.webcaricatures import webcaricatures

TO = geometry.template('arcface').scaled(48)


@pytest.fixture
def folder(tmp_path):
    """Folders of six identities; the second identity has one image, and one image is broken."""
    random = np.random.default_rng(0)
    for label, count in enumerate([3, 1, 2, 4, 2, 3]):
        folder = tmp_path / f'person{label}'
        folder.mkdir()
        for number in range(count):
            color = random.integers(0, 255, 3).astype(np.uint8)
            Image.fromarray(np.broadcast_to(color, (40, 40, 3))).save(folder / f'{number}.png')
    (tmp_path / 'person3/1.png').write_bytes(b'broken')
    return tmp_path


def test_labels_are_consecutive_and_broken_images_are_replaced(folder):
    images = IdentityImages(build_faces('folder', folder), TO, min_images=2)
    assert images.num_identities == 5 and len(images) == 14
    samples = [images[index] for index in range(len(images))]
    assert {int(sample.label) for sample in samples} == set(range(5))
    assert all(sample.images.shape == (3, 48, 48) and sample.images.abs().max() <= 1 for sample in samples)
    assert images.readable.broken == 1
    with pytest.raises(ValueError, match='no identity'):
        IdentityImages(build_faces('folder', folder), TO, min_images=9)


def test_rendered_identities_have_other_images_in_each_epoch_and_partition():
    train, test = (build_identities('synthetic', None, TO, partition) for partition in ('train', 'test'))
    first, again, later = train[0, 3], train[0, 3], train[1, 3]
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, later.images)
    assert first.label == later.label == 3
    assert not torch.equal(first.images, test[0, 3].images)
    with pytest.raises(ValueError, match='validation'):
        build_identities('synthetic', None, TO, 'valid')


def test_loader_returns_face_batches():
    batch = next(iter(build_loader(build_identities('synthetic', None, TO), 5)))
    assert isinstance(batch, FaceBatch) and batch.images.shape == (5, 3, 48, 48) and batch.label.dtype == torch.int64


def test_pairs_are_a_photo_and_a_drawing_of_one_identity(tmp_path):
    faces = build_faces('webcaricature', webcaricatures(tmp_path, num_identities=4, size=32), 'all')
    pairs = PhotoDrawingPairs(faces.select(np.arange(len(faces) - 2)), TO)  # the last identity has no photos left
    assert pairs.num_identities == 3
    batch = next(iter(build_loader(pairs, 6)))
    assert len(batch) == 12 and batch.drawing.tolist() == [False, True] * 6
    assert torch.equal(batch.label[::2], batch.label[1::2]) and len(batch.label.unique()) > 1
    assert batch.images.dtype == torch.float32 and not torch.equal(batch.images[0], batch.images[1])
    with pytest.raises(ValueError, match='both photos and drawings'):
        PhotoDrawingPairs(faces.select(faces.columns['drawing']), TO)


def test_exaggeration_is_reproducible_and_applies_to_training_only(tmp_path):
    root = webcaricatures(tmp_path, size=32)
    plain, exaggerated, again, test = (build_identities('webcaricature', root, TO, partition, exaggerate=amount)[0, 0]
                                 for partition, amount in (('train', 0), ('train', 2), ('train', 2), ('test', 2)))
    assert torch.equal(exaggerated.images, again.images) and not torch.equal(exaggerated.images, plain.images)
    assert torch.equal(test.images, build_identities('webcaricature', root, TO, 'test')[0, 0].images)
    assert bool(plain.drawing)  # C00001 is the first image
