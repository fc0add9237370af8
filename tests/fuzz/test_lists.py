"""Mutated lists of images: CSV files of identities, pairs, landmarks and groups, and the lists of CelebA and LFW."""
import csv
import io

import numpy as np
import pytest
from PIL import Image

from datasets.celeba import celeba
from datasets.identity_folder import LANDMARK_COLUMNS, identity_folder
from datasets.samples.swaps import ListedSwaps
from experiments.evaluation.groups import read_groups
from experiments.evaluation.protocols.verification import read_pairs
from models.pipelines.files.swaps import read_identity_list
from tests.fuzz.contract import check
from tests.fuzz.mutators import TEXT

CELEBA = {
    'identity_CelebA.txt': [[index % 3] for index in range(6)],
    'list_landmarks_align_celeba.txt': [[69, 109, 106, 113, 77, 142, 73, 152, 108, 154]] * 6,
    'list_eval_partition.txt': [[0], [0], [1], [1], [2], [0]],
    'list_bbox_celeba.txt': [[95, 71, 226, 313]] * 6,
    'list_attr_celeba.txt': [[1, -1, 1]] * 6,
}
HEADERS = {'list_attr_celeba.txt': '6\nBald Young Smiling\n', 'list_bbox_celeba.txt': '6\nimage_id x_1 y_1 width height\n',
           'list_landmarks_align_celeba.txt': '6\n' + ' '.join(f'{part}_{axis}' for part in 'abcde' for axis in 'xy') + '\n'}
NAMES = [f'{name}/{name}_{number:04d}.jpg' for name in ('Ann', 'Bob') for number in (1, 2, 3)]


def _text(*rows) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _image(path, size=(178, 218)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size[::-1], 3), 90, np.uint8)).save(path)


@pytest.fixture
def identities(tmp_path):
    """An identity folder of two identities."""
    for name in NAMES:
        _image(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize('name', CELEBA)
def test_celeba_lists_are_read_or_refused(tmp_path, count, name):
    for index in range(6):
        _image(tmp_path / f'img_align_celeba/{index:06d}.jpg')
    for other, rows in CELEBA.items():
        lines = ''.join(f'{index:06d}.jpg {" ".join(map(str, row))}\n' for index, row in enumerate(rows))
        (tmp_path / other).write_text(HEADERS.get(other, '') + lines)
    check(name, (tmp_path / name).read_bytes(), lambda _: celeba(tmp_path, 'train')[0], tmp_path / name, count, TEXT)


def test_pairs_are_read_or_refused(identities, count):
    faces = identity_folder(identities)
    data = _text(('source', 'target'), *zip(NAMES, NAMES[::-1]))
    check('pairs.csv', data, lambda path: ListedSwaps(faces, path, 64)[0], identities / 'pairs.csv', 2 * count, TEXT)


def test_identity_lists_are_read_or_refused(identities, count):
    data = _text(('reference', 'source'), *zip(NAMES[:2], NAMES[2:4]))
    check('identities.csv', data, read_identity_list, identities / 'identities.csv', 2 * count, TEXT)


def test_landmarks_are_read_or_refused(identities, count):
    data = _text(LANDMARK_COLUMNS, *((name, name.split('/')[0], *CELEBA['list_landmarks_align_celeba.txt'][0]) for name in NAMES))
    check('landmarks.csv', data, lambda _: identity_folder(identities)[0], identities / 'landmarks.csv', 2 * count, TEXT)


def test_partitions_are_read_or_refused(identities, count):
    data = ''.join(f'{name} {number % 3}\n' for number, name in enumerate(NAMES)).encode()
    check('partitions', data, lambda _: identity_folder(identities, 'all'), identities / 'list_eval_partition.txt', count, TEXT)


def test_groups_are_read_or_refused(identities, count):
    data = _text(('file', 'group'), *((name, 'light') for name in NAMES))
    check('groups.csv', data, read_groups, identities / 'groups.csv', count, TEXT)


def test_pairs_of_lfw_are_read_or_refused(identities, count):
    data = b'1 2\nAnn 1 2\nBob 1 3\nAnn 1 Bob 2\nAnn 2 Bob 1\n'
    faces = identity_folder(identities)
    check('pairs.txt', data, lambda path: read_pairs(path, faces), identities / 'pairs.txt', 2 * count, TEXT)
