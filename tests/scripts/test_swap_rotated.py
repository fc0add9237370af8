"""Swaps of photos of a head that lies on its side, with the trained weights that scripts/swap.py takes."""
from pathlib import Path

import numpy as np
import pytest

from models.perception.build import build_perception
from models.perception.detection import build_detector
from models.pipelines.io.images import read_image
from models.pipelines.photo import FaceSwapper, SwapResult
from scripts import swap

CASES = Path(__file__).parents[1] / 'fixtures' / 'cases'


@pytest.fixture(scope='module')
def swapper():
    perception = build_perception('identity-mobilefacenet', None, 'parsing-unet')
    family = swap.loaded(swap.parse(['--source', 'a.jpg', '--target', 'b.jpg']), perception)
    return FaceSwapper(family, perception, build_detector())


@pytest.fixture(scope='module')
def face():
    return read_image(CASES / 'face.jpg')


@pytest.fixture(scope='module')
def drawn():
    return read_image(CASES / 'drawn-source.jpg')


@pytest.fixture(scope='module')
def upright(swapper, drawn, face):
    return swapper.swap(drawn, face)


def id_similarity(swapper, first: SwapResult, second: SwapResult) -> float:
    """Cosine of the identities of the swapped faces, where each is searched anew."""
    a, b = (swapper.embed(one.image, swapper.detector.detect(one.image)[:1]) for one in (first, second))
    return float((a * b).sum())


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_a_turned_photo_gives_the_turned_swap(swapper, face, drawn, upright, quarters):
    turned = swapper.swap(drawn, np.ascontiguousarray(np.rot90(face, quarters)))
    difference = np.abs(np.rot90(turned.image, -quarters).astype(int) - upright.image)
    assert difference[upright.coverage > 0.5].mean() < 3, 'levels of 255; a swap at other landmarks differs by tens'
    assert difference[upright.coverage == 0].max() == 0
    assert id_similarity(swapper, turned, upright) > 0.98


@pytest.mark.parametrize('name', ['sideways-90.jpg', 'sideways-270.png'])
def test_a_head_on_its_side_is_swapped_as_target_and_as_source(swapper, face, drawn, upright, name):
    side = read_image(CASES / name)
    assert id_similarity(swapper, swapper.swap(drawn, side), upright) > 0.95
    assert id_similarity(swapper, swapper.swap(side, drawn), swapper.swap(face, drawn)) > 0.95
