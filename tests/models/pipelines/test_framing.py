"""Images of any size brought into a network's square."""
import numpy as np
import pytest
import torch

from models import geometry
from models.pipelines.framing import align_image
from tests.models.stubs import Planted, face_at, photo


@pytest.mark.parametrize('template', ['face', 'ffhq'])
def test_the_face_comes_where_the_template_has_it(template):
    image, face = np.zeros((400, 500, 3), np.uint8), face_at(230, 190, 40, angle=20)
    x, y = face.points[2].round().astype(int)
    image[y - 4:y + 5, x - 4:x + 5] = 255
    found = align_image(image, Planted({(400, 500): [face]}), 64, template)
    assert found.image.shape == (1, 3, 64, 64) and found.note is None and (found.inside == 1).all()
    places = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing='xy'))
    weight = found.image[0, 0] + 1
    nose = (places * weight).sum((1, 2)) / weight.sum()
    torch.testing.assert_close(nose, geometry.template(template).scaled(64).tensor()[2], atol=0.7, rtol=0)


def test_the_largest_of_several_faces_is_taken_and_said():
    faces = [face_at(100, 100, 50), face_at(250, 100, 20)]
    several, alone = (align_image(photo(200, 300), Planted({(200, 300): found}), 32) for found in (faces, faces[:1]))
    assert '2 faces' in several.note and alone.note is None
    torch.testing.assert_close(several.image, alone.image)


def test_what_lies_beyond_the_image_is_not_known():
    """White inside, where the photo ends; the face is too near to the left border for its frame."""
    image = np.full((300, 300, 3), 255, np.uint8)
    found = align_image(image, Planted({(300, 300): [face_at(40, 150, 60)]}), 64)
    known = found.inside[0, 0, 32]
    assert (known[:10] == 0).all() and (known[-32:] == 1).all() and (known.diff() >= 0).all()
    assert float(found.image.min()) > 0.99, 'beyond it the border is repeated'


def test_without_a_face_the_middle_is_taken_and_said():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 50:150] = 255
    found = align_image(image, Planted({}), 32)
    assert 'no face' in found.note and float(found.image.min()) > 0.99 and (found.inside == 1).all()
