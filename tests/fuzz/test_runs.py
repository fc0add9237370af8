"""Run folders with one mutated file: resuming, learning curves, best checkpoint."""
import importlib
import shutil
from pathlib import Path

import pytest

from app.results import find_results, local_weights
from experiments.training.logging.journal import Journal, learning_curves
from experiments.training.state.checkpoint import Checkpoints
from tests.contract.stubs import tiny_perception
from tests.fuzz.contract import check
from tests.fuzz.mutators import BINARY, TEXT
from tests.scripts.test_train import TINY

CHECKPOINT = 'checkpoints/step-00000002'


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """A run of two steps."""
    script, run = importlib.import_module('scripts.train'), tmp_path_factory.mktemp('runs') / 'run'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('experiments.training.tasks.base.build_perception', lambda **names: tiny_perception())
        settings = [word for setting in (*TINY, 'engine.best=validation/reconstruction') for word in ('--set', setting)]
        assert script.main(['--family', 'cvae', '--steps', '2', '--out', str(run), *settings]) == 0
    return run


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / 'run'))


@pytest.fixture
def resume(monkeypatch, run):
    script = importlib.import_module('scripts.train')
    monkeypatch.setattr('experiments.training.tasks.base.build_perception', lambda **names: tiny_perception())
    return lambda _: script.build(script.parse(['--resume', str(run)]))


@pytest.mark.parametrize('name', ['state.pt', 'model.safetensors', 'family.safetensors'])
def test_checkpoints_are_read_or_refused(run, count, resume, name):
    file = run / CHECKPOINT / name
    check(name, file.read_bytes(), resume, file, count, BINARY)


def test_metrics_of_checkpoints_are_read_or_refused(run, count):
    checkpoints, file = Checkpoints(run / 'checkpoints', 1, 'validation/reconstruction'), run / CHECKPOINT / 'metrics.json'
    check('metrics.json', file.read_bytes(), lambda _: checkpoints.best(), file, 2 * count, TEXT)


def test_journals_are_read_or_refused(run, count):
    file = run / 'journal.jsonl'
    check('journal.jsonl', file.read_bytes(), lambda path: learning_curves(path.parent), file, 2 * count, TEXT)


def test_result_folders_are_read_or_refused(run, count):
    file = run / 'family.safetensors'

    def read(_) -> None:
        find_results([run.parent])
        local_weights([run.parent], ['cvae'])

    check('results', file.read_bytes(), read, file, count)


def test_damaged_journal_line_is_skipped(run):
    file = run / 'journal.jsonl'
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b'\xff{broken\n'.join(lines))
    curves = learning_curves(run)
    Journal(run, 2).close()
    assert learning_curves(run) == curves
    file.write_bytes(b''.join(lines))
    assert curves == learning_curves(run) != {}


def test_checkpoint_with_damaged_metrics_is_not_deleted(run):
    (run / CHECKPOINT / 'metrics.json').write_text('{"validation/rec')
    checkpoints = Checkpoints(run / 'checkpoints', 1, 'validation/reconstruction')
    checkpoints.save(3, b'', b'', {}, {'validation/reconstruction': 1.0})
    checkpoints.save(4, b'', b'', {}, {'validation/reconstruction': 2.0})
    assert {path.name for path in checkpoints.all()} >= {'step-00000002', 'step-00000003', 'step-00000004'}
