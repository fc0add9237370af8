"""CelebAMask-HQ in its official layout."""

import numpy as np
import pytest
import torch

from datasets import faces as faces_module
from datasets.celebamask import celebamask, hq_points
from datasets.loaders import build_swaps
from datasets.registry import build_faces
from models.batch import PARTS
from models.geometry import TEMPLATES
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def fresh_warnings():
    faces_module.warn_once.cache_clear()


def test_masks_are_merged_in_the_published_order(tmp_path):
    faces = build_faces('celebamask', layouts.celebamask(tmp_path))
    image, labels, _ = faces.read(2)  # 2001.jpg, with its masks in folder 1
    assert image.shape == (128, 128, 3) and labels.shape == (128, 128)
    ids = {PARTS[i] for i in np.unique(labels)}
    assert ids == {'background', 'skin', 'l_eye', 'r_eye', 'nose', 'u_lip', 'hair'}
    assert labels[28, 64] == PARTS.index('hair')  # hair and skin overlap there; the later part wins
    assert labels[58, 64] == PARTS.index('nose')


@pytest.mark.parametrize('left, right', [('l', 'r'), ('r', 'l')])
def test_left_parts_are_on_the_viewers_left(tmp_path, left, right):
    labels = build_faces('celebamask', layouts.celebamask(tmp_path, left=left, right=right)).read(0)[1]
    columns = [np.nonzero(labels == PARTS.index(part))[1].mean() for part in ('l_eye', 'r_eye')]
    assert columns[0] < 64 < columns[1]


def test_images_without_lists_are_aligned_by_masks(tmp_path):
    sample = build_swaps('celebamask', layouts.celebamask(tmp_path), 128, 'all', same_ratio=1)[0]
    assert sample.target_parsing.shape == (128, 128) and sample.target_parsing.dtype == torch.int64
    for part, point in zip(('l_eye', 'r_eye'), TEMPLATES['face'].points):
        ys, xs = torch.nonzero(sample.target_parsing == PARTS.index(part), as_tuple=True)
        assert abs(xs.float().mean() - point[0]) < 4 and abs(ys.float().mean() - point[1]) < 4


def test_mapping_gives_identities_and_partitions(tmp_path):
    layouts.celebamask(tmp_path, numbers=(0, 1))
    (tmp_path / 'CelebA-HQ-to-CelebA-mapping.txt').write_text('idx orig_idx orig_file\n0 9 000010.jpg\n1 4 000005.jpg\n')
    (tmp_path / 'identity_CelebA.txt').write_text('000005.jpg 77\n000010.jpg 77\n')
    (tmp_path / 'list_eval_partition.txt').write_text('000005.jpg 2\n000010.jpg 0\n')
    faces = celebamask(tmp_path)
    assert faces.identity_names.tolist() == ['77'] and faces.splits.tolist() == [0, 2]
    assert celebamask(tmp_path, 'test')[0].path.name == '1.jpg'


def test_hq_points_follow_the_published_alignment():
    """Upright faces: a square of side max(4 |eyes|, 3.6 |eyes to mouth|), a tenth of the way from eyes to mouth."""
    wild = np.array([[[100, 200], [160, 200], [130, 240], [108, 270], [152, 270]]], np.float64)
    points = hq_points(wild)
    side = max(4 * 60, 3.6 * 70)
    corner = np.array([130, 200 + 7]) - side / 2
    assert np.allclose(points, (wild - corner) / side * 1024 - 0.5, atol=1e-6)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert np.allclose(hq_points(wild @ turn.T * 2.5 + 11), points, atol=1e-6)
