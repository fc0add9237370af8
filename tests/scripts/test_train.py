"""scripts/train.py as a newcomer uses it, with stubs in the place of the perception networks."""
import importlib
import os
import signal

import pytest
import yaml

from experiments.training.engine import Engine
from models.registry import load_family
from tests.contract.stubs import IDENTITY, tiny_perception

TINY = ['model.size=32', 'model.widths=[8, 16]', 'model.depth=1', f'model.id_dim={IDENTITY}', 'data.batch=2', 'data.workers=0',
        'data.validation_batches=1', 'engine.accelerator=cpu', 'engine.checkpoint_every=2', 'engine.log_every=1']


@pytest.fixture
def train(monkeypatch):
    module = importlib.import_module('scripts.train')
    monkeypatch.setattr(module, 'build_perception', lambda **names: tiny_perception())
    return lambda *words: module.main(list(map(str, words)))


def tiny(*more: str) -> list[str]:
    return [word for setting in [*TINY, *more] for word in ('--set', setting)]


def test_it_trains_on_drawn_faces_and_goes_on_where_it_was_stopped(train, tmp_path, monkeypatch, capsys):
    run = tmp_path / 'run'
    update = Engine._update

    def interrupted(engine, *rest):
        update(engine, *rest)
        if engine.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, '_update', interrupted)
        assert train('--family', 'cvae', '--steps', 4, '--out', run, *tiny()) == 128 + signal.SIGTERM
    said = capsys.readouterr().err
    assert f'train.py: stopped by SIGTERM at step 3 of 4 and saved; go on with --resume {run}' in said
    assert 'reconstruction' in said
    assert train('--resume', run) == 0
    assert capsys.readouterr().out.strip() == str(run / 'family.safetensors')
    assert load_family(run / 'family.safetensors', tiny_perception()).config.size == 32
    assert [path.name for path in sorted((run / 'checkpoints').iterdir())] == ['step-00000003', 'step-00000004']
    resolved = yaml.safe_load((run / 'config.yaml').read_text())
    assert resolved['model']['weights']['id'] > 0 and resolved['engine']['steps'] == 4
    assert train('--family', 'cvae', '--out', run) == 2
    assert 'holds a run already' in capsys.readouterr().err


@pytest.mark.parametrize(('words', 'message'), [
    (['--family', 'cvae', '--set', 'engine.stepz=3'], 'did you mean steps'),
    (['--family', 'cvae', '--set', 'model.weights.edge=3'], 'did you mean edges'),
    (['--family', 'cvae', '--set', 'model.size=big'], 'size does not fit'),
    (['--family', 'cvae', '--preset', 'nothing'], "no preset 'nothing'"),
    (['--family', 'cvae', '--data', 'celeba', '--root', 'nowhere'], 'nowhere'),
    (['--resume', 'nowhere'], 'nowhere is no run'),
])
def test_a_mistake_is_one_sentence(train, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert train(*words) == 2
    said = capsys.readouterr().err
    assert message in said and said.count('\n') == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('words, key', [(['--help-config'], 'model (dict'), (['--help-config', 'cvae'], 'model.size (')])
def test_help_config_prints_all_settings(train, capsys, words, key):
    assert train(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith('engine.steps (int, >= 1, default 2000): ') for line in lines)
    assert any(line.startswith(key) for line in lines)


def test_a_batch_that_exceeds_the_memory_is_one_sentence(tmp_path, capsys):
    assert importlib.import_module('scripts.train').main(
        ['--family', 'cvae', '--out', str(tmp_path / 'run'), '--set', 'data.batch=100000000']) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'batches of 100000000 samples need' in error and 'set data.batch lower' in error
    assert not (tmp_path / 'run').exists()
