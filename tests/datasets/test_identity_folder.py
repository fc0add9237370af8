"""Folders of images with and without identities."""

import pytest
import torch

from datasets import faces as faces_module
from datasets.faces import read_image
from datasets.loaders import build_swaps
from datasets.registry import build_faces
from models.geometry import TEMPLATES
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def fresh_warnings():
    faces_module.warn_once.cache_clear()


def test_folders_are_identities_and_plain_images_are_not(tmp_path):
    layouts.folders(tmp_path)
    faces = build_faces('folder', tmp_path)
    assert faces.identity_names.tolist() == [f'person_{i}' for i in range(5)] and faces.frame == TEMPLATES['celeba']
    splits = [set(faces.labels[faces.splits == i]) for i in range(3)]
    assert sum(map(len, splits)) == 5  # no identity is in two partitions
    assert len(build_faces('plain', tmp_path).identity_names) == 15
    (tmp_path / 'list_eval_partition.txt').write_text(''.join(f'{name} {i % 2}\n' for i, name in enumerate(faces.files)))
    assert len(build_faces('folder', tmp_path, 'validation')) == 7


def test_images_without_landmarks_use_the_central_square(tmp_path):
    layouts.folders(tmp_path, landmarks=False)
    faces = build_faces('folder', tmp_path)
    assert faces.frame is None
    sample = build_swaps('folder', tmp_path, 178, 'all', same_ratio=1)[0]
    squares = [torch.from_numpy(read_image(faces.path(i))[20:198].copy()) for i in range(len(faces))]
    assert min((sample.target - square.permute(2, 0, 1) / 127.5 + 1).abs().max() for square in squares) < 1e-3
