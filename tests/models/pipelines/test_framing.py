"""Alignment of images of any size to the square input of a network."""
import numpy as np
import pytest
import torch

from models import geometry
from models.pipelines.framing import align_image
from tests.models.stubs import FixedDetector, face_at, photo


@pytest.mark.parametrize('template', ['face', 'ffhq'])
def test_landmarks_are_mapped_to_the_template(template):
    image, face = np.zeros((400, 500, 3), np.uint8), face_at(230, 190, 40, angle=20)
    x, y = face.points[2].round().astype(int)
    image[y - 4:y + 5, x - 4:x + 5] = 255
    aligned = align_image(image, FixedDetector({(400, 500): [face]}), 64, template)
    assert aligned.image.shape == (1, 3, 64, 64) and aligned.note is None and (aligned.inside == 1).all()
    grid = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing='xy'))
    weight = aligned.image[0, 0] + 1
    nose = (grid * weight).sum((1, 2)) / weight.sum()
    torch.testing.assert_close(nose, geometry.template(template).scaled(64).tensor()[2], atol=0.7, rtol=0)


def test_largest_of_several_faces_is_aligned_with_a_note():
    faces = [face_at(100, 100, 50), face_at(250, 100, 20)]
    several, single = (align_image(photo(200, 300), FixedDetector({(200, 300): detected}), 32) for detected in (faces, faces[:1]))
    assert '2 faces' in several.note and single.note is None
    torch.testing.assert_close(several.image, single.image)


def test_inside_is_zero_beyond_the_border():
    """A white image whose face is too close to the left border for the template."""
    image = np.full((300, 300, 3), 255, np.uint8)
    aligned = align_image(image, FixedDetector({(300, 300): [face_at(40, 150, 60)]}), 64)
    row = aligned.inside[0, 0, 32]
    assert (row[:10] == 0).all() and (row[-32:] == 1).all() and (row.diff() >= 0).all()
    assert float(aligned.image.min()) > 0.99, 'the border is replicated'


def test_image_without_a_face_is_center_cropped_with_a_note():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 50:150] = 255
    aligned = align_image(image, FixedDetector({}), 32)
    assert 'no face' in aligned.note and float(aligned.image.min()) > 0.99 and (aligned.inside == 1).all()
