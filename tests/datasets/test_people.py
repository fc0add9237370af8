"""Single faces with their people."""
import numpy as np
import pytest
import torch
from PIL import Image

from datasets.loaders import build_faces, build_loader
from datasets.people import People, build_people
from models import geometry
from models.batch import FaceBatch

TO = geometry.template('arcface').scaled(48)


@pytest.fixture
def folder(tmp_path):
    """Six people in a folder of their own each; the second has one picture, one picture is broken."""
    random = np.random.default_rng(0)
    for person, count in enumerate([3, 1, 2, 4, 2, 3]):
        place = tmp_path / f'person{person}'
        place.mkdir()
        for number in range(count):
            colour = random.integers(0, 255, 3).astype(np.uint8)
            Image.fromarray(np.broadcast_to(colour, (40, 40, 3))).save(place / f'{number}.png')
    (tmp_path / 'person3/1.png').write_bytes(b'broken')
    return tmp_path


def test_people_are_counted_anew_and_broken_pictures_passed_over(folder):
    people = People(build_faces('folder', folder), TO, fewest=2)
    assert people.people == 5 and len(people) == 14
    samples = [people[index] for index in range(len(people))]
    assert {int(sample.person) for sample in samples} == set(range(5))
    assert all(sample.pictures.shape == (3, 48, 48) and sample.pictures.abs().max() <= 1 for sample in samples)
    assert people.readable.broken == 1
    with pytest.raises(ValueError, match='nobody'):
        People(build_faces('folder', folder), TO, fewest=9)


def test_drawn_people_come_back_in_other_pictures_and_partitions_share_nobody():
    train, test = (build_people('synthetic', None, TO, partition) for partition in ('train', 'test'))
    first, again, later = train[0, 3], train[0, 3], train[1, 3]
    assert torch.equal(first.pictures, again.pictures) and not torch.equal(first.pictures, later.pictures)
    assert first.person == later.person == 3
    assert not torch.equal(first.pictures, test[0, 3].pictures)
    with pytest.raises(ValueError, match='validation'):
        build_people('synthetic', None, TO, 'valid')


def test_a_loader_makes_batches_of_them():
    batch = next(iter(build_loader(build_people('synthetic', None, TO), 5)))
    assert isinstance(batch, FaceBatch) and batch.pictures.shape == (5, 3, 48, 48) and batch.person.dtype == torch.int64
