"""Samples of faces with label maps for the training of parsers."""
import csv

import numpy as np
import pytest
import torch

from datasets.faces import Faces
from datasets.fasseg import eye_mouth_centers
from datasets.loaders import build_loader
from datasets.samples.parsing import LabeledImages, RenderedFaces, build_parsing, open_labeled, parsing_subsets
from datasets.transforms.joint import face_frame
from models.batch import COARSE, IGNORED, PARTS, ParsingBatch
from models.geometry import TEMPLATES
from tests.datasets import layouts
from tests.datasets.test_fasseg import coarse_mask

LEFT, RIGHT = PARTS.index('l_eye'), PARTS.index('r_eye')


@pytest.fixture
def fasseg(tmp_path):
    """Three training and two test images; one of the latter has one eye."""
    rows = [('a', 'frontal', 'train', 2), ('b', 'frontal', 'train', 2), ('c', 'turned', 'train', 2), ('d', 'turned', 'test', 2),
            ('e', 'turned', 'test', 1)]
    for i, (name, _, _, eyes) in enumerate(rows):
        layouts.write(tmp_path / f'fasseg/images/{name}.jpg', layouts.image(i, 96, 96))
        layouts.write(tmp_path / f'fasseg/masks/{name}.png', coarse_mask(eyes))
    with (tmp_path / 'fasseg/index.csv').open('w', newline='') as handle:
        csv.writer(handle).writerows([('name', 'subset', 'split'), *(row[:3] for row in rows)])
    return tmp_path / 'fasseg'


class TwoSides(Faces):
    """One image, white in the left half and black in the right half, which are labeled as the left and the right eye."""

    def __init__(self, size):
        super().__init__('root', ['0.png'], ['identity'], frame=face_frame(size))
        left = np.arange(size) < size // 2
        self.image = np.broadcast_to(np.where(left, 255, 0)[None, :, None], (size, size, 3)).astype(np.uint8)
        self.map = np.broadcast_to(np.where(left, LEFT, RIGHT), (size, size)).astype(np.uint8)

    def read(self, index):
        return self.image, self.map, None


def test_coarse_images_are_aligned_by_eyes_and_mouth(fasseg):
    subsets = parsing_subsets(fasseg, 128, 'test')
    assert list(subsets) == ['fasseg turned'] and len(subsets['fasseg turned']) == 1
    sample = subsets['fasseg turned'].sample(0)
    assert (sample.labels == IGNORED).all() and sample.coarse.max() < len(COARSE)
    face = TEMPLATES['face'].tensor()
    expected = torch.stack([face[0], face[1], face[3:].mean(0)])
    assert np.abs(eye_mouth_centers(sample.coarse.numpy().astype(np.uint8), True) - expected.numpy()).max() < 4


def test_pixels_outside_of_the_label_map_are_ignored():
    faces = TwoSides(64)
    faces.frame = face_frame(64, side=100)  # smaller than the template's frame
    sample = LabeledImages(faces, 64, coarse=False).sample(0)
    assert (sample.labels[0] == IGNORED).all() and (sample.labels[32] != IGNORED).any()


def test_flip_exchanges_left_and_right_labels():
    """The left half of an augmented image is labeled as the left eye, whether its pixels are bright or dark."""
    data, bright = LabeledImages(TwoSides(64), 64, coarse=False), set()
    for seed in range(20):
        sample = data.sample(0, np.random.default_rng(seed))
        columns = torch.arange(64).expand(64, 64)
        left, right = sample.labels == LEFT, sample.labels == RIGHT
        assert columns[left].float().mean() < columns[right].float().mean()
        bright.add(bool(sample.images[:, left].mean() > sample.images[:, right].mean()))
    assert bright == {True, False}


def test_samples_are_from_all_sources_and_depend_on_the_key(fasseg, tmp_path):
    layouts.celebamask(tmp_path / 'hq', numbers=range(4))
    faces = build_parsing([fasseg], 64, seed=1)
    batch = next(iter(build_loader(faces, 24)))
    assert isinstance(batch, ParsingBatch) and batch.images.shape == (24, 3, 64, 64) and batch.images.abs().max() <= 1
    coarse = (batch.coarse != IGNORED).flatten(1).any(1)
    fine = (batch.labels != IGNORED).flatten(1).any(1)
    assert coarse.any() and fine.any() and not (coarse & fine).any()
    assert torch.equal(faces[2, 5].images, faces[2, 5].images) and not torch.equal(faces[2, 5].images, faces[3, 5].images)
    assert len(build_parsing([fasseg], 64, partition='validation').sources) == 1
    hq, is_coarse = open_labeled(tmp_path / 'hq')
    sample = LabeledImages(hq, 64, coarse=is_coarse).sample(0)
    assert {LEFT, RIGHT, PARTS.index('nose')} <= set(sample.labels.unique().tolist())
    with pytest.raises(ValueError, match='pseudo-labels'):
        open_labeled(tmp_path)


def test_rendered_faces_have_fine_labels():
    sample = RenderedFaces('test', 64).sample(0)
    assert (sample.coarse == IGNORED).all() and sample.labels.max() < len(PARTS)
