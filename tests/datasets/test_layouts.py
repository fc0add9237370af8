"""Every published layout, whole and in part, is read as its documentation says."""
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from datasets import faces as faces_module
from datasets.celebamask import celebamask, hq_points
from datasets.faces import BrokenImage, read_image
from datasets.loaders import build_faces, build_pairs, build_swaps
from models.batch import PARTS
from models.geometry import TEMPLATES
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def fresh_warnings():
    faces_module.warn_once.cache_clear()


@pytest.mark.parametrize('nested', [False, True])
def test_celeba_with_all_its_lists(tmp_path, nested, caplog):
    faces = build_faces('celeba', layouts.celeba(tmp_path, nested=nested))
    assert len(faces) == 21 and not caplog.records
    face = faces[8]  # 000009.jpg: the second person's second image
    assert (face.path.name, face.name) == ('000009.jpg', '101')
    assert face.frame == TEMPLATES['celeba'] and face.points.tolist() == layouts.POINTS.tolist()
    assert faces.columns['Smiling'].tolist() == [bool(i % 2) for i in range(21)]
    assert not faces.columns['Bald'].any() and faces.columns['box'][7].tolist() == [7, 2, 30, 40]
    people = {part: set(build_faces('celeba', tmp_path, part).labels) for part in ('train', 'validation', 'test')}
    assert [len(people[part]) for part in people] == [4, 1, 2]
    assert not people['train'] & people['validation'] and not people['train'] & people['test']
    assert people['test'] == {5, 6}  # persons keep their numbers in every partition


def test_celeba_of_png_images(tmp_path):
    assert build_faces('celeba', layouts.celeba(tmp_path, suffix='.png'))[0].path.name == '000001.png'


def test_a_part_of_celeba_says_once_what_is_missing_and_what_that_means(tmp_path, caplog):
    layouts.celeba(tmp_path)
    for name in ('identity_CelebA.txt', 'list_attr_celeba.txt', 'list_landmarks_align_celeba.txt'):
        (tmp_path / name).unlink()
    (tmp_path / 'img_align_celeba' / '000001.jpg').unlink()
    with caplog.at_level(logging.WARNING):
        faces = build_faces('celeba', tmp_path)
        build_faces('celeba', tmp_path)
    assert len(faces) == len(faces.identity_names) == 20 and faces[0].points is None
    text = caplog.text
    assert text.count('no identity_CelebA.txt (each image has an identity of its own)') == 1
    assert 'no list_attr_celeba.txt' in text and '20 of 21 listed' in text
    assert build_swaps('celeba', tmp_path, 32, 'all')[0].target.shape == (3, 32, 32)


def test_celeba_in_the_wild_is_aligned_by_its_landmarks(tmp_path):
    """A face drawn twice as large and shifted comes out like the aligned one."""
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


def test_a_malformed_list_is_named_with_its_line(tmp_path):
    layouts.celeba(tmp_path)
    (tmp_path / 'identity_CelebA.txt').write_text('000001.jpg 5\n000002.jpg\n')
    with pytest.raises(ValueError, match='identity_CelebA.txt, line 2'):
        build_faces('celeba', tmp_path)


def test_celebamask_merges_parts_in_the_published_order(tmp_path):
    faces = build_faces('celebamask', layouts.celebamask(tmp_path))
    image, labels, _ = faces.read(2)  # 2001.jpg, whose masks lie in folder 1
    assert image.shape == (128, 128, 3) and labels.shape == (128, 128)
    ids = {PARTS[i] for i in np.unique(labels)}
    assert ids == {'background', 'skin', 'l_eye', 'r_eye', 'nose', 'u_lip', 'hair'}
    assert labels[28, 64] == PARTS.index('hair')  # hair and skin overlap there; the later part wins
    assert labels[58, 64] == PARTS.index('nose')


@pytest.mark.parametrize('left, right', [('l', 'r'), ('r', 'l')])
def test_left_means_the_viewers_left_whatever_the_files_mean(tmp_path, left, right):
    labels = build_faces('celebamask', layouts.celebamask(tmp_path, left=left, right=right)).read(0)[1]
    columns = [np.nonzero(labels == PARTS.index(part))[1].mean() for part in ('l_eye', 'r_eye')]
    assert columns[0] < 64 < columns[1]


def test_celebamask_without_lists_is_aligned_by_its_masks(tmp_path):
    sample = build_swaps('celebamask', layouts.celebamask(tmp_path), 128, 'all', same_ratio=1)[0]
    assert sample.target_parsing.shape == (128, 128) and sample.target_parsing.dtype == torch.int64
    for part, point in zip(('l_eye', 'r_eye'), TEMPLATES['face'].points):
        ys, xs = torch.nonzero(sample.target_parsing == PARTS.index(part), as_tuple=True)
        assert abs(xs.float().mean() - point[0]) < 4 and abs(ys.float().mean() - point[1]) < 4


def test_celebamask_mapping_gives_persons_partition_and_landmarks(tmp_path):
    layouts.celebamask(tmp_path, numbers=(0, 1))
    (tmp_path / 'CelebA-HQ-to-CelebA-mapping.txt').write_text('idx orig_idx orig_file\n0 9 000010.jpg\n1 4 000005.jpg\n')
    (tmp_path / 'identity_CelebA.txt').write_text('000005.jpg 77\n000010.jpg 77\n')
    (tmp_path / 'list_eval_partition.txt').write_text('000005.jpg 2\n000010.jpg 0\n')
    faces = celebamask(tmp_path)
    assert faces.identity_names.tolist() == ['77'] and faces.splits.tolist() == [0, 2]
    assert celebamask(tmp_path, 'test')[0].path.name == '1.jpg'


def test_hq_points_follow_the_published_alignment():
    """Upright faces: side max(4 |eyes|, 3.6 |eyes to mouth|) around a tenth of the way from eyes to mouth."""
    wild = np.array([[[100, 200], [160, 200], [130, 240], [108, 270], [152, 270]]], np.float64)
    points = hq_points(wild)
    side = max(4 * 60, 3.6 * 70)
    corner = np.array([130, 200 + 7]) - side / 2
    assert np.allclose(points, (wild - corner) / side * 1024 - 0.5, atol=1e-6)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert np.allclose(hq_points(wild @ turn.T * 2.5 + 11), points, atol=1e-6)


def test_identity_folders_and_plain_ones(tmp_path):
    layouts.folders(tmp_path)
    faces = build_faces('folder', tmp_path)
    assert faces.identity_names.tolist() == [f'person_{i}' for i in range(5)] and faces.frame == TEMPLATES['celeba']
    splits = [set(faces.labels[faces.splits == i]) for i in range(3)]
    assert sum(map(len, splits)) == 5  # nobody is in two partitions
    assert len(build_faces('plain', tmp_path).identity_names) == 15
    (tmp_path / 'list_eval_partition.txt').write_text(''.join(f'{name} {i % 2}\n' for i, name in enumerate(faces.files)))
    assert len(build_faces('folder', tmp_path, 'validation')) == 7


def test_identity_folder_without_landmarks_takes_the_center(tmp_path):
    layouts.folders(tmp_path, landmarks=False)
    faces = build_faces('folder', tmp_path)
    assert faces.frame is None
    sample = build_swaps('folder', tmp_path, 178, 'all', same_ratio=1)[0]
    squares = [torch.from_numpy(read_image(faces.path(i))[20:198].copy()) for i in range(len(faces))]
    assert min((sample.target - square.permute(2, 0, 1) / 127.5 + 1).abs().max() for square in squares) < 1e-3


def test_two_domains(tmp_path):
    root = layouts.domains(tmp_path)
    sample = build_pairs('unpaired', root, 32, 'test')[2]
    assert sample.a.shape == sample.b.shape == (3, 32, 32) and not sample.paired
    assert (int(sample.a_label), int(sample.b_label)) == (0, 2)  # image 2 of two wraps around to the first
    for path in (root / 'testA').iterdir():
        path.rename(path.with_name(path.name.replace('__', '-')))
    assert build_pairs('unpaired', root, 32, 'test')[0].a_label is None
    with pytest.raises(ValueError, match='trainA, trainB, testA and testB'):
        build_pairs('unpaired', root / 'trainA', 32)


def test_aligned_celeba_images_of_a_domain_are_cut_to_the_face_and_others_to_their_middle(tmp_path):
    for side in 'AB':
        layouts.write(tmp_path / f'test{side}' / '0.png', layouts.image(1, *((178, 218) if side == 'A' else (178, 219))))
    sample = build_pairs('unpaired', tmp_path, 128, 'test')[0]
    whole = torch.from_numpy(read_image(tmp_path / 'testA' / '0.png')[60:188, 24:152].copy()).permute(2, 0, 1) / 127.5 - 1
    assert (sample.a - whole).abs().max() < 1e-3
    square = Image.open(tmp_path / 'testB' / '0.png').crop((0, 20, 178, 198)).resize((16, 16), Image.BOX)
    coarse = torch.from_numpy(np.array(square)).permute(2, 0, 1) / 127.5 - 1
    assert (torch.nn.functional.adaptive_avg_pool2d(sample.b, 16) - coarse).abs().mean() < 0.05


def test_validation_of_two_domains_is_never_trained_on(tmp_path):
    for side in 'AB':
        for i in range(40):
            layouts.write(tmp_path / f'train{side}' / f'p{i}__0.jpg', layouts.image(i, 16, 16))
    people = {}
    for part in ('train', 'validation'):
        faces = build_pairs('unpaired', tmp_path, 16, part).a.faces
        people[part] = set(faces.identity_names[faces.labels])
    assert people['validation'] and not people['train'] & people['validation']


@pytest.mark.parametrize('name', ['celeba', 'celebamask', 'folder', 'plain', 'cache', 'unpaired'])
def test_a_missing_or_empty_root_is_one_clear_sentence(tmp_path, name):
    build = build_pairs if name == 'unpaired' else build_swaps
    with pytest.raises(ValueError, match='is not a folder'):
        build(name, tmp_path / 'nowhere', 32)
    with pytest.raises(ValueError, match=str(tmp_path)):
        build(name, tmp_path, 32)
    with pytest.raises(ValueError, match='root'):
        build(name, None, 32)


def test_unknown_names_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="unknown set of faces 'lfww'; known: celeba"):
        build_swaps('lfww', tmp_path, 32)
    layouts.folders(tmp_path)
    with pytest.raises(ValueError, match="unknown partition 'dev'; known: train"):
        build_swaps('folder', tmp_path, 32, 'dev')
    with pytest.raises(ValueError, match='no two domains'):
        build_pairs('celeba', tmp_path, 32)


def test_images_are_turned_upright_and_truncated_ones_are_broken(tmp_path):
    array = layouts.image(3, 40, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    layouts.write(tmp_path / 'turned.png', np.rot90(array).copy(), exif=exif)
    assert np.array_equal(read_image(tmp_path / 'turned.png'), array)
    layouts.write(tmp_path / 'whole.jpg', array)
    (tmp_path / 'half.jpg').write_bytes((tmp_path / 'whole.jpg').read_bytes()[:-200])
    with pytest.raises(BrokenImage, match='half.jpg'):
        read_image(tmp_path / 'half.jpg')
