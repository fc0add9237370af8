"""Pictures of any size brought into a network's square."""
import numpy as np
import pytest
import torch

from models import geometry
from models.pipelines.framing import framed
from tests.models.stubs import Planted, face_at, photo


@pytest.mark.parametrize('template', ['face', 'ffhq'])
def test_the_face_comes_where_the_template_has_it(template):
    picture, face = np.zeros((300, 400, 3), np.uint8), face_at(170, 120, 40, angle=20)
    x, y = face.points[2].round().astype(int)
    picture[y - 4:y + 5, x - 4:x + 5] = 255
    square, note = framed(picture, Planted({(300, 400): [face]}), 64, template)
    assert square.shape == (1, 3, 64, 64) and note is None
    found = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing='xy'))
    weight = square[0, 0] + 1
    nose = (found * weight).sum((1, 2)) / weight.sum()
    torch.testing.assert_close(nose, geometry.template(template).scaled(64).tensor()[2], atol=0.7, rtol=0)


def test_the_largest_of_several_faces_is_taken_and_said():
    faces = [face_at(100, 100, 50), face_at(250, 100, 20)]
    several, note = framed(photo(200, 300), Planted({(200, 300): faces}), 32)
    assert '2 faces' in note
    torch.testing.assert_close(several, framed(photo(200, 300), Planted({(200, 300): faces[:1]}), 32)[0])


def test_without_a_face_the_middle_is_taken_and_said():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 50:150] = 255
    square, note = framed(picture, Planted({}), 32)
    assert 'no face' in note and float(square.min()) > 0.99
