"""Swaps in photos of a head that lies on its side, with the weights of the zoo."""
from pathlib import Path

import numpy as np
import pytest

from models.perception.build import PHOTO_PARSER, build_perception
from models.perception.detection import build_detector
from models.pipelines.io.images import read_image
from models.pipelines.photo import FaceSwapper, SwapResult
from models.registry import SWAPPER, load_family
from models.weights import path

CASES = Path(__file__).parents[2] / 'fixtures' / 'cases'


@pytest.fixture(scope='module')
def swapper():
    perception = build_perception(parser=PHOTO_PARSER)
    return FaceSwapper(load_family(path(SWAPPER), perception), perception, build_detector())


@pytest.fixture(scope='module')
def face():
    return read_image(CASES / 'face.jpg')


@pytest.fixture(scope='module')
def other_face():
    return read_image(CASES / 'drawn-source.jpg')


@pytest.fixture(scope='module')
def upright(swapper, other_face, face):
    return swapper.swap(other_face, face)


def id_similarity(swapper: FaceSwapper, first: SwapResult, second: SwapResult) -> float:
    """Cosine of the embeddings of the largest faces that are detected in two results."""
    a, b = (swapper.embed(swapped.image, swapper.detector.detect(swapped.image)[:1]) for swapped in (first, second))
    return float((a * b).sum())


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_swap_of_rotated_target_equals_rotated_swap(swapper, face, other_face, upright, quarters):
    rotated = swapper.swap(other_face, np.ascontiguousarray(np.rot90(face, quarters)))
    difference = np.abs(np.rot90(rotated.image, -quarters).astype(int) - upright.image)
    assert difference[upright.coverage > 0.5].mean() < 3, 'levels of 255; other landmarks differ by tens'
    assert difference[upright.coverage == 0].max() == 0
    assert id_similarity(swapper, rotated, upright) > 0.98


@pytest.mark.parametrize('name', ['sideways-90.jpg', 'sideways-270.png'])
def test_sideways_head_is_swapped_as_target_and_as_source(swapper, face, other_face, upright, name):
    sideways = read_image(CASES / name)
    assert id_similarity(swapper, swapper.swap(other_face, sideways), upright) > 0.95
    assert id_similarity(swapper, swapper.swap(sideways, other_face), swapper.swap(face, other_face)) > 0.95
