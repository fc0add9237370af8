"""Contact sheets and portraits."""
import numpy as np
import pytest

from models.pipelines.io.contact_sheet import contact_sheet, portrait
from tests.models.stubs import face_at, photo


def test_contact_sheet_shows_every_image_in_its_cell():
    colors = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 0, 255)]]
    sizes = [[(30, 60), (30, 50)], [(50, 60), (50, 50)]]
    rows = [[np.full((*size, 3), color, np.uint8) for size, color in zip(*row)] for row in zip(sizes, colors)]
    sheet = contact_sheet(rows, ['source', 'swap'], side=64)
    for row in colors:
        for color in row:
            assert (sheet == color).all(2).sum() > 1000
    assert (sheet[:36] < 100).any(), 'headings'


def test_contact_sheet_raises_for_a_short_row():
    with pytest.raises(ValueError, match='2 images'):
        contact_sheet([[np.zeros((8, 8, 3), np.uint8)]], ['source', 'swap'])


def test_portrait_is_a_square_inside_the_image():
    for face in (face_at(5, 5, 30), face_at(195, 115, 30), face_at(100, 60, 90)):
        square = portrait(photo(120, 200), face)
        assert square.shape[0] == square.shape[1] <= 120
