"""Folders of label maps, how they are framed and varied, and the cleaned labels of a teacher."""
import csv
import pickle

import numpy as np
import pytest
import torch

from datasets.faces import Faces
from datasets.loaders import build_loader
from datasets.preparation.pseudo_labels import clean_labels, spatial_prior, write_pseudo_labels
from datasets.samples.parsing import Labeled, RenderedFaces, by_subset, centers, mixed, open_faces
from datasets.transforms.joint import face_frame
from models.batch import COARSE, IGNORED, PARTS, ParsingBatch
from models.geometry import TEMPLATES
from tests.datasets import layouts

LEFT, RIGHT = PARTS.index('l_eye'), PARTS.index('r_eye')


def coarse_mask(eyes=2, side=96):
    ids, mask = list(COARSE), np.zeros((side, side), np.uint8)
    mask[20:90, 20:76] = ids.index('skin')
    for x in (32, 58)[:eyes]:
        mask[40:44, x:x + 8] = ids.index('eyes')
    mask[66:72, 38:58] = ids.index('mouth')
    return mask


@pytest.fixture
def fasseg(tmp_path):
    """Three images to learn from and two for the test; one of the latter is a profile with a single eye."""
    rows = [('a', 'frontal', 'train', 2), ('b', 'frontal', 'train', 2), ('c', 'turned', 'train', 2), ('d', 'turned', 'test', 2),
            ('e', 'turned', 'test', 1)]
    for i, (name, _, _, eyes) in enumerate(rows):
        layouts.write(tmp_path / f'fasseg/images/{name}.jpg', layouts.image(i, 96, 96))
        layouts.write(tmp_path / f'fasseg/masks/{name}.png', coarse_mask(eyes))
    with (tmp_path / 'fasseg/index.csv').open('w', newline='') as handle:
        csv.writer(handle).writerows([('name', 'subset', 'split'), *(row[:3] for row in rows)])
    return tmp_path / 'fasseg'


class Side(Faces):
    """One image, white on the viewer's left and black on the right, each half being the eye of its side."""

    def __init__(self, size):
        super().__init__('nowhere', ['0.png'], ['someone'], frame=face_frame(size))
        left = np.arange(size) < size // 2
        self.image = np.broadcast_to(np.where(left, 255, 0)[None, :, None], (size, size, 3)).astype(np.uint8)
        self.map = np.broadcast_to(np.where(left, LEFT, RIGHT), (size, size)).astype(np.uint8)

    def read(self, index):
        return self.image, self.map, None


def test_coarse_images_are_framed_by_eyes_and_mouth(fasseg):
    found = by_subset(fasseg, 128, 'test')
    assert list(found) == ['fasseg turned'] and len(found['fasseg turned']) == 1
    sample = found['fasseg turned'].sample(0)
    assert (sample.labels == IGNORED).all() and sample.coarse.max() < len(COARSE)
    face = TEMPLATES['face'].tensor()
    wanted = torch.stack([face[0], face[1], face[3:].mean(0)])
    assert np.abs(centers(sample.coarse.numpy().astype(np.uint8), True) - wanted.numpy()).max() < 4


def test_a_profile_cannot_be_framed():
    assert centers(coarse_mask(2), True).shape == (3, 2) and centers(coarse_mask(1), True) is None


def test_outside_of_the_label_map_nothing_is_known():
    faces = Side(64)
    faces.frame = face_frame(64, side=100)  # shows less than the template
    sample = Labeled(faces, 64, coarse=False).sample(0)
    assert (sample.labels[0] == IGNORED).all() and (sample.labels[32] != IGNORED).any()


def test_a_flip_exchanges_the_sides_of_labels_and_image():
    """Left of any image, however moved and shaded, are still left eye labels; but what was bright may be dark there."""
    data, bright = Labeled(Side(64), 64, coarse=False), set()
    for seed in range(20):
        sample = data.sample(0, np.random.default_rng(seed))
        columns = torch.arange(64).expand(64, 64)
        left, right = sample.labels == LEFT, sample.labels == RIGHT
        assert columns[left].float().mean() < columns[right].float().mean()
        bright.add(bool(sample.images[:, left].mean() > sample.images[:, right].mean()))
    assert bright == {True, False}


def test_sources_are_mixed_and_repeat_by_key(fasseg, tmp_path):
    layouts.celebamask(tmp_path / 'hq', numbers=range(4))
    faces = mixed([fasseg], 64, seed=1)
    batch = next(iter(build_loader(faces, 24)))
    assert isinstance(batch, ParsingBatch) and batch.images.shape == (24, 3, 64, 64) and batch.images.abs().max() <= 1
    coarse = (batch.coarse != IGNORED).flatten(1).any(1)
    fine = (batch.labels != IGNORED).flatten(1).any(1)
    assert coarse.any() and fine.any() and not (coarse & fine).any()
    assert torch.equal(faces[2, 5].images, faces[2, 5].images) and not torch.equal(faces[2, 5].images, faces[3, 5].images)
    assert len(mixed([fasseg], 64, partition='validation').sources) == 1
    hq, is_coarse = open_faces(tmp_path / 'hq')
    sample = Labeled(hq, 64, coarse=is_coarse).sample(0)
    assert {LEFT, RIGHT, PARTS.index('nose')} <= set(sample.labels.unique().tolist())
    with pytest.raises(ValueError, match='pseudo-labels'):
        open_faces(tmp_path)


def test_drawn_faces_carry_their_labels():
    sample = RenderedFaces('test', 64).sample(0)
    assert (sample.coarse == IGNORED).all() and sample.labels.max() < len(PARTS)


def test_cleaning_ignores_what_is_unsure_and_what_is_a_speck():
    probability = torch.zeros(1, 19, 40, 40)
    probability[:, 1] = 1
    probability[:, :, :, 30:] = 0
    probability[:, 1, :, 30:], probability[:, 13, :, 30:] = 0.5, 0.5  # nobody can say
    probability[:, 1, 10:13, 10:13], probability[:, 2, 10:13, 10:13] = 0, 1  # 9 pixels
    probability[:, 1, 20:28, 10:18], probability[:, 2, 20:28, 10:18] = 0, 1
    labels = clean_labels(probability, torch.full((19, 40, 40), 1 / 19))[0]
    assert (labels[22:26, 12:16] == 2).all() and (labels[11, 11], labels[5, 5], labels[5, 35]) == (IGNORED, 1, IGNORED)


def test_the_prior_speaks_against_a_part_out_of_place():
    mean = torch.zeros(19, 40, 40)
    mean[13, :20], mean[17, 20:] = 1, 1  # hair above, neck below
    probability = torch.zeros(1, 19, 40, 40)
    probability[:, 13], probability[:, 17] = 0.6, 0.4
    labels = clean_labels(probability, spatial_prior(mean))[0]
    assert labels[5, 20] == 13 and labels[35, 20] == 17


def test_labels_of_a_teacher_go_into_a_cache_that_is_learned_from(tmp_path):
    faces = open_faces(layouts.celebamask(tmp_path / 'hq', numbers=range(6), side=160))[0]
    seen = []

    def probability_of(images):
        seen.append(tuple(images.shape[1:]))
        parts = torch.where(images.mean(1) > 0, 13, 1)
        return torch.nn.functional.one_hot(parts, 19).permute(0, 3, 1, 2).float()

    labeled = write_pseudo_labels(faces, tmp_path / 'cache', probability_of, batch=4)
    assert set(seen) == {(3, 150, 150)}
    found, coarse = open_faces(tmp_path / 'cache')
    assert not coarse and len(found) == 6
    image, labels, _ = pickle.loads(pickle.dumps(found)).read(0)
    sure = labels != IGNORED
    assert sure.mean() > 0.5 and ((image.mean(2) > 127.5) == (labels == 13))[sure].mean() > 0.9
    before = len(seen)
    write_pseudo_labels(faces, tmp_path / 'cache', probability_of)
    assert len(seen) == before, 'what was finished is not done again'
    assert np.array_equal(labeled.read(3)[1], found.read(3)[1])
