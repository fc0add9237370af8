"""Caches of data sets: equality with the files, resumed writing, errors."""
import pickle
import shutil

import numpy as np
import pytest
import torch

from datasets import cache
from datasets.faces import BrokenImage
from datasets.loaders import build_swaps
from datasets.registry import build_faces
from datasets.transforms.joint import face_frame
from models.geometry import TEMPLATES
from tests.datasets import layouts


@pytest.fixture(scope='module')
def celeba(tmp_path_factory):
    return layouts.celeba(tmp_path_factory.mktemp('celeba'))


@pytest.mark.parametrize('to', [TEMPLATES['celeba'], face_frame(128)], ids=['canvas', 'crop'])
@pytest.mark.parametrize('partition', ['train', 'test'])
def test_packed_samples_equal_those_of_the_files(celeba, tmp_path, to, partition):
    cache.pack(build_faces('celeba', celeba), tmp_path / 'c', to)
    packed = build_swaps('cache', tmp_path / 'c', 128, partition, seed=2)
    direct = build_swaps('celeba', celeba, 128, partition, seed=2)
    assert len(packed) == len(direct)
    for i in range(len(direct)):
        assert torch.allclose(packed[i].source, direct[i].source, atol=1e-6)
        assert torch.allclose(packed[i].target, direct[i].target, atol=1e-6)
        assert packed.faces[i].name == direct.faces[i].name
    corner = torch.tensor([0., 0.] if to == TEMPLATES['celeba'] else [24., 60.])
    assert torch.allclose(torch.tensor(packed.faces[0].points), torch.tensor(direct.faces[0].points) - corner, atol=1e-3)


def test_samples_of_wider_packed_crops_equal_those_of_the_files(celeba, tmp_path):
    cache.pack(build_faces('celeba', celeba), tmp_path / 'c', face_frame(160, side=160))
    packed, direct = (build_swaps(*source, 128, 'test', seed=2) for source in (('cache', tmp_path / 'c'), ('celeba', celeba)))
    assert torch.allclose(packed[1].target, direct[1].target, atol=1e-6)


def test_label_maps_are_packed(tmp_path):
    layouts.celebamask(tmp_path / 'data')
    faces = build_faces('celebamask', tmp_path / 'data')
    cache.pack(faces, tmp_path / 'c', face_frame(64))
    packed = build_swaps('cache', tmp_path / 'c', 64, 'all', same_ratio=1)
    direct = build_swaps('celebamask', tmp_path / 'data', 64, 'all', same_ratio=1)
    assert torch.equal(packed[0, 1].target_parsing, direct[0, 1].target_parsing)


def colors(images):
    """Identity encoder by mean color: (B,3,H,W) -> (B,3), unit length."""
    return torch.nn.functional.normalize(images.mean((2, 3)))


def test_samples_of_an_embedded_cache_have_the_source_embedding(celeba, tmp_path):
    cache.pack(build_faces('celeba', celeba), tmp_path / 'c', face_frame(32))
    cache.embed(tmp_path / 'c', 'colors', colors, batch=5)
    swaps = build_swaps('cache', tmp_path / 'c', 32, 'test', seed=2, encoder='colors')
    for i in range(len(swaps)):
        torch.testing.assert_close(swaps[i].source_embedding, colors(swaps[i].source[None])[0])
    for other in (None, 'another-encoder'):
        assert build_swaps('cache', tmp_path / 'c', 32, 'test', seed=2, encoder=other)[0].source_embedding is None


def test_embedding_of_another_frame_raises_value_error(celeba, tmp_path):
    cache.pack(build_faces('celeba', celeba), tmp_path / 'c', TEMPLATES['celeba'])
    with pytest.raises(ValueError, match='pack it without'):
        cache.embed(tmp_path / 'c', 'colors', colors)


def test_images_are_views_and_writing_does_not_change_the_file(celeba, tmp_path):
    packed = cache.pack(build_faces('celeba', celeba), tmp_path / 'c', face_frame(32))
    image = packed.read(3)[0]
    assert np.shares_memory(image, packed.read(3)[0])
    before = (tmp_path / 'c' / 'images.npy').read_bytes()
    image[:] = 0
    assert (tmp_path / 'c' / 'images.npy').read_bytes() == before
    assert len(pickle.dumps(packed)) < 20_000  # spawned workers open the file themselves


def test_interrupted_packing_resumes(celeba, tmp_path, monkeypatch):
    faces = build_faces('celeba', celeba)
    whole = cache.pack(faces, tmp_path / 'whole', face_frame(32))
    reads = []
    original = type(faces).read

    def failing(self, index):
        if len(reads) == 7:
            raise KeyboardInterrupt
        reads.append(index)
        return original(self, index)

    monkeypatch.setattr(type(faces), 'read', failing)
    with pytest.raises(KeyboardInterrupt):
        cache.pack(faces, tmp_path / 'c', face_frame(32))
    with pytest.raises(ValueError, match='no finished cache'):
        build_faces('cache', tmp_path / 'c')
    monkeypatch.setattr(type(faces), 'read', lambda self, index: reads.append(index) or original(self, index))
    cache.pack(faces, tmp_path / 'c', face_frame(32))
    assert sorted(reads) == list(range(len(faces)))  # each file is read once in both attempts together
    monkeypatch.undo()
    again = build_faces('cache', tmp_path / 'c')
    assert all(np.array_equal(again.read(i)[0], whole.read(i)[0]) for i in range(len(faces)))
    assert sorted(path.name for path in (tmp_path / 'c').iterdir()) == ['images.npy', 'index.npz']


def test_packing_other_images_into_a_cache_raises_value_error(celeba, tmp_path):
    faces = build_faces('celeba', celeba)
    cache.pack(faces, tmp_path / 'c', face_frame(32))
    cache.pack(faces, tmp_path / 'c', face_frame(32))  # opens the existing cache
    for other, to in ((faces, face_frame(48)), (faces.partition('train'), face_frame(32))):
        with pytest.raises(ValueError, match='give another folder'):
            cache.pack(other, tmp_path / 'c', to)


def test_unreadable_images_are_left_out(celeba, tmp_path, caplog):
    root = tmp_path / 'data'
    shutil.copytree(celeba, root)
    path = root / 'img_align_celeba' / '000005.jpg'
    path.write_bytes(path.read_bytes()[:400])
    packed = cache.pack(build_faces('celeba', root), tmp_path / 'c', face_frame(32), workers=2)
    assert len(packed) == 20 and '000005.jpg' not in packed.files.tolist()
    with pytest.raises(BrokenImage):
        build_faces('celeba', root).read(4)


def brightness(images):
    """Parser by brightness: ids 0 to 18."""
    return ((images.mean(1) + 1) * 9).long()


def test_interrupted_labeling_resumes_and_samples_have_label_maps(celeba, tmp_path):
    cache.pack(build_faces('celeba', celeba), tmp_path / 'c', face_frame(32))
    batches = []

    def interrupted(images):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(len(images))
        return brightness(images)

    with pytest.raises(KeyboardInterrupt):
        cache.label(tmp_path / 'c', interrupted, batch=4)
    assert not cache.PackedFaces(tmp_path / 'c').has_parsing
    cache.label(tmp_path / 'c', lambda images: (batches.append(len(images)), brightness(images))[1], batch=4)
    assert sum(batches) == 21
    sample = build_swaps('cache', tmp_path / 'c', 32, 'train')[0]
    torch.testing.assert_close(sample.target_parsing, brightness(sample.target[None])[0])


def test_labeling_of_another_frame_raises_value_error(celeba, tmp_path):
    cache.pack(build_faces('celeba', celeba), tmp_path / 'c', face_frame(32, side=160))
    with pytest.raises(ValueError, match='without --side'):
        cache.label(tmp_path / 'c', brightness)
