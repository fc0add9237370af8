"""Preparing photos and filtering WebCaricature, killed and done again, give the same files as undisturbed."""
import pytest

from datasets.preparation import photos as preparation
from datasets.preparation.photos import prepare
from datasets.preparation.webcaricature import filter_images
from tests import kills
from tests.datasets.webcaricatures import webcaricatures
from tests.experiments.test_preparation import Stub, photo

POINTS = [6, pytest.param(30, marks=pytest.mark.slow)]


@pytest.mark.parametrize('points', POINTS)
@pytest.mark.parametrize('layout', ['celeba', 'folder'])
def test_photos(layout, points, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, 'build_detector', lambda name: Stub())
    for number, name in enumerate(['anna/a.png', 'anna/b.png', 'berta/a.png', 'dora__1.png']):
        photo(tmp_path / 'photos' / name, number)
    photo(tmp_path / 'photos' / 'x_none.png', 0, (0, 20, 0))
    kills.check(lambda out: prepare(tmp_path / 'photos', out, layout=layout), tmp_path / 'out', points=points)


@pytest.mark.parametrize('points', [1, pytest.param(30, marks=pytest.mark.slow)])
def test_webcaricature(points, tmp_path):
    root = webcaricatures(tmp_path / 'data', size=48)
    kills.check(lambda out: filter_images(root, out), tmp_path / 'out', points=points)
