"""Repetition of killed commands: packing, labeling and embedding of data sets."""
import shutil

import pytest
import torch

from datasets import cache
from datasets.preparation import pseudo_labels
from datasets.registry import build_faces
from datasets.transforms.joint import face_frame
from tests import kills
from tests.datasets import layouts

NUM_KILLS = [6, pytest.param(30, marks=pytest.mark.slow)]


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    return build_faces('celeba', layouts.celeba(tmp_path_factory.mktemp('celeba')))


@pytest.fixture(scope='module')
def packed(faces, tmp_path_factory):
    return cache.pack(faces, tmp_path_factory.mktemp('packed') / 'cache', face_frame(32)).root


def labels_of(images):
    """(B,H,W): labels that depend on the composition of the batch."""
    return ((images - images.mean((0, 2, 3), keepdim=True)).sum(1) > 0).long() + len(images) % 3


def vectors_of(images):
    """(B,3): embeddings that depend on the composition of the batch."""
    return torch.nn.functional.normalize(images.mean((2, 3)) - images.mean())


def probability_of(images):
    return torch.eye(19)[labels_of(images)].permute(0, 3, 1, 2)


@pytest.mark.parametrize('num_kills', NUM_KILLS)
@pytest.mark.parametrize('task', ['pack', 'label', 'embed', 'pseudo-labels'])
def test_killed_and_repeated_command_writes_the_same_files(task, num_kills, faces, packed, tmp_path):
    work = {
        'pack': lambda out: cache.pack(faces, out, face_frame(32)),
        'label': lambda out: cache.label(out, labels_of, batch=7),
        'embed': lambda out: cache.embed(out, 'mean', vectors_of, batch=7),
        'pseudo-labels': lambda out: pseudo_labels.write_pseudo_labels(faces, out, probability_of, batch=7),
    }[task]
    kills.check(work, tmp_path, (lambda out: shutil.copytree(packed, out)) if task in ('label', 'embed') else lambda out: None,
                num_kills)


def test_interrupted_labeling_by_another_parser_is_discarded(packed, tmp_path):
    shutil.copytree(packed, tmp_path / 'c')

    def failing(images, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return torch.full((len(images), 32, 32), 3)

    with pytest.raises(KeyboardInterrupt):
        cache.label(tmp_path / 'c', failing, name='first', batch=4)
    labeled = cache.label(tmp_path / 'c', lambda images: torch.full((len(images), 32, 32), 5), name='second', batch=4)
    assert all((labeled.read(index)[1] == 5).all() for index in range(len(labeled)))
