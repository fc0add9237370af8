"""Unpaired images of two domains in folders."""

import numpy as np
import pytest
import torch
from PIL import Image

from datasets import faces as faces_module
from datasets.faces import read_image
from datasets.loaders import build_pairs
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def fresh_warnings():
    faces_module.warn_once.cache_clear()


def test_samples_have_identity_labels_if_file_names_hold_them(tmp_path):
    root = layouts.domains(tmp_path)
    sample = build_pairs('unpaired', root, 32, 'test')[2]
    assert sample.a.shape == sample.b.shape == (3, 32, 32) and not sample.paired
    assert (int(sample.a_label), int(sample.b_label)) == (0, 2)  # index 2 of 2 images wraps around to the first
    for path in (root / 'testA').iterdir():
        path.rename(path.with_name(path.name.replace('__', '-')))
    assert build_pairs('unpaired', root, 32, 'test')[0].a_label is None
    with pytest.raises(ValueError, match='trainA, trainB, testA and testB'):
        build_pairs('unpaired', root / 'trainA', 32)


def test_aligned_celeba_images_are_cropped_to_the_face_and_others_to_the_central_square(tmp_path):
    for side in 'AB':
        layouts.write(tmp_path / f'test{side}' / '0.png', layouts.image(1, *((178, 218) if side == 'A' else (178, 219))))
    sample = build_pairs('unpaired', tmp_path, 128, 'test')[0]
    whole = torch.from_numpy(read_image(tmp_path / 'testA' / '0.png')[60:188, 24:152].copy()).permute(2, 0, 1) / 127.5 - 1
    assert (sample.a - whole).abs().max() < 1e-3
    square = Image.open(tmp_path / 'testB' / '0.png').crop((0, 20, 178, 198)).resize((16, 16), Image.BOX)
    coarse = torch.from_numpy(np.array(square)).permute(2, 0, 1) / 127.5 - 1
    assert (torch.nn.functional.adaptive_avg_pool2d(sample.b, 16) - coarse).abs().mean() < 0.05


def test_training_and_validation_identities_are_disjoint(tmp_path):
    for side in 'AB':
        for i in range(40):
            layouts.write(tmp_path / f'train{side}' / f'p{i}__0.jpg', layouts.image(i, 16, 16))
    names = {}
    for part in ('train', 'validation'):
        faces = build_pairs('unpaired', tmp_path, 16, part).a.faces
        names[part] = set(faces.identity_names[faces.labels])
    assert names['validation'] and not names['train'] & names['validation']


def test_unreadable_image_is_replaced_by_the_next_one(tmp_path):
    layouts.domains(tmp_path)
    (tmp_path / 'testA' / 'someone_0__00.jpg').write_bytes(b'')
    dataset = build_pairs('unpaired', tmp_path, 16, 'test')
    assert torch.equal(dataset[0].a, dataset[1].a) and dataset.broken == 1
