"""Repetition of killed commands: preparation of photos, filtering of WebCaricature, evaluations, runs of an ablation."""
from types import SimpleNamespace

import pytest

from datasets.preparation import photos as preparation
from datasets.preparation.photos import prepare
from datasets.preparation.webcaricature import filter_images
from experiments.ablation import runner
from experiments.ablation.plan import plan
from experiments.evaluation.evaluator import Evaluation, cost
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.swaps import synthetic
from experiments.evaluation.systems import CopySource
from models.storage.files import write_bytes
from tests import kills
from tests.datasets.preparation.test_photos import CodedDetector, photo
from tests.datasets.webcaricatures import webcaricatures
from tests.experiments.ablation.stubs import ablation

NUM_KILLS = [6, pytest.param(30, marks=pytest.mark.slow)]


@pytest.mark.parametrize('num_kills', NUM_KILLS)
@pytest.mark.parametrize('layout', ['celeba', 'folder'])
def test_preparing_photos_resumes(layout, num_kills, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, 'build_detector', lambda name: CodedDetector())
    for number, name in enumerate(['anna/a.png', 'anna/b.png', 'berta/a.png', 'dora__1.png']):
        photo(tmp_path / 'photos' / name, number)
    photo(tmp_path / 'photos' / 'x_none.png', 0, (0, 20, 0))
    kills.check(lambda out: prepare(tmp_path / 'photos', out, layout=layout), tmp_path / 'out', num_kills=num_kills)


@pytest.mark.parametrize('num_kills', [1, pytest.param(30, marks=pytest.mark.slow)])
def test_filtering_webcaricature_resumes(num_kills, tmp_path):
    root = webcaricatures(tmp_path / 'data', size=48)
    kills.check(lambda out: filter_images(root, out), tmp_path / 'out', num_kills=num_kills)


@pytest.mark.parametrize('num_kills', [2, pytest.param(30, marks=pytest.mark.slow)])
def test_evaluation_resumes(num_kills, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, 'timed', lambda work: (work(), 0.5))
    protocol, judges = synthetic(48, 6), Judges('identity-mobilefacenet')
    kills.check(lambda out: Evaluation(protocol, judges, out, batch=2, visible=False).row(CopySource()), tmp_path,
                num_kills=num_kills)


@pytest.mark.parametrize('num_kills', NUM_KILLS)
def test_runs_of_an_ablation_resume(num_kills, tmp_path, monkeypatch):
    def train(run, environment, stopping):
        write_bytes(run.folder / 'config.yaml', run.variant.encode())
        write_bytes(run.folder / 'family.safetensors', bytes(1000))

    monkeypatch.setattr(runner, 'time', SimpleNamespace(monotonic=lambda: 0.0))
    kills.check(lambda out: runner.train_all(plan(ablation(), out), train, [{}]), tmp_path, num_kills=num_kills)
