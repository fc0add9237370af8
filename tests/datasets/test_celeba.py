"""CelebA in its official layout, complete and in part."""
import logging

import numpy as np
import pytest
from PIL import Image

from datasets import faces as faces_module
from datasets.loaders import build_swaps
from datasets.registry import build_faces
from models.geometry import TEMPLATES
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def fresh_warnings():
    faces_module.warn_once.cache_clear()


@pytest.mark.parametrize('nested', [False, True])
def test_complete_celeba_has_all_annotations(tmp_path, nested, caplog):
    faces = build_faces('celeba', layouts.celeba(tmp_path, nested=nested))
    assert len(faces) == 21 and not caplog.records
    face = faces[8]  # 000009.jpg: the second image of the second identity
    assert (face.path.name, face.name) == ('000009.jpg', '101')
    assert face.frame == TEMPLATES['celeba'] and face.points.tolist() == layouts.POINTS.tolist()
    assert faces.columns['Smiling'].tolist() == [bool(i % 2) for i in range(21)]
    assert not faces.columns['Bald'].any() and faces.columns['box'][7].tolist() == [7, 2, 30, 40]
    labels = {part: set(build_faces('celeba', tmp_path, part).labels) for part in ('train', 'validation', 'test')}
    assert [len(labels[part]) for part in labels] == [4, 1, 2]
    assert not labels['train'] & labels['validation'] and not labels['train'] & labels['test']
    assert labels['test'] == {5, 6}  # labels are the same in all partitions


def test_png_images_are_read(tmp_path):
    assert build_faces('celeba', layouts.celeba(tmp_path, suffix='.png'))[0].path.name == '000001.png'


def test_missing_lists_are_logged_once_with_their_effect(tmp_path, caplog):
    layouts.celeba(tmp_path)
    for name in ('identity_CelebA.txt', 'list_attr_celeba.txt', 'list_landmarks_align_celeba.txt'):
        (tmp_path / name).unlink()
    (tmp_path / 'img_align_celeba' / '000001.jpg').unlink()
    with caplog.at_level(logging.WARNING):
        faces = build_faces('celeba', tmp_path)
        build_faces('celeba', tmp_path)
    assert len(faces) == len(faces.identity_names) == 20 and faces[0].points is None
    text = caplog.text
    assert text.count('no identity_CelebA.txt (each image is a separate identity)') == 1
    assert 'no list_attr_celeba.txt' in text and '20 of 21 listed' in text
    assert build_swaps('celeba', tmp_path, 32, 'all')[0].target.shape == (3, 32, 32)


def test_images_in_the_wild_are_aligned_by_landmarks(tmp_path):
    """A face of twice the size at another position gives the sample of the aligned image."""
    layouts.celeba(tmp_path / 'aligned')
    layouts.celeba(tmp_path / 'wild')
    for path in (tmp_path / 'wild' / 'img_align_celeba').iterdir():
        canvas = np.zeros((500, 420, 3), np.uint8)
        with Image.open(path) as small:
            canvas[30:30 + 436, 40:40 + 356] = np.asarray(small.resize((356, 436), Image.Resampling.BICUBIC))
        layouts.write(tmp_path / 'wild' / 'img_celeba' / path.name, canvas, quality=95)
    points = (np.array(TEMPLATES['celeba'].points) + 0.5) * 2 - 0.5 + [40, 30]
    row = ' '.join(f'{value:.2f}' for value in points.flatten())
    lines = ['21', 'lefteye_x'] + [f'{i + 1:06d}.jpg {row}' for i in range(21)]
    (tmp_path / 'wild' / 'list_landmarks_celeba.txt').write_text('\n'.join(lines))
    for path in (tmp_path / 'wild' / 'img_align_celeba').iterdir():
        path.unlink()
    (tmp_path / 'wild' / 'img_align_celeba').rmdir()
    aligned = build_swaps('celeba', tmp_path / 'aligned', 64, 'test')
    wild = build_swaps('celeba', tmp_path / 'wild', 64, 'test')
    for i in range(3):
        assert (aligned[i].target - wild[i].target).abs().mean() < 0.03
    (tmp_path / 'wild' / 'list_landmarks_celeba.txt').unlink()
    with pytest.raises(ValueError, match='lacks list_landmarks_celeba.txt'):
        build_faces('celeba', tmp_path / 'wild')


def test_malformed_list_raises_value_error_with_line(tmp_path):
    layouts.celeba(tmp_path)
    (tmp_path / 'identity_CelebA.txt').write_text('000001.jpg 5\n000002.jpg\n')
    with pytest.raises(ValueError, match='identity_CelebA.txt, line 2'):
        build_faces('celeba', tmp_path)
