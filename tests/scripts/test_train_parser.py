"""Training of face parsers by scripts/train.py and their measurement by scripts/evaluate.py."""
import importlib
import json

import pytest

from experiments.evaluation import networks
from models.conversion.convert import read_state
from models.perception.build import file_of
from tests.datasets import layouts

TINY = ['model.size=32', 'data.batch=4', 'data.workers=0', 'data.validation_batches=1', 'engine.accelerator=cpu',
        'engine.log_every=1']


@pytest.fixture
def train(run_train, monkeypatch):
    measure = networks.measure
    monkeypatch.setattr(networks, 'measure', lambda *positional, **named: measure(*positional, **named, max_images=6))

    def run(*arguments, settings=()):
        return run_train('--family', 'parser', *arguments, settings=[*TINY, *settings])
    return run


def test_parser_is_trained_resumed_exported_and_measured(train, tmp_path, capsys):
    folder, run = layouts.celebamask(tmp_path / 'hq', numbers=range(12)), tmp_path / 'run'
    assert train('--root', folder, '--steps', 2, '--out', run) == 0
    assert 'on synthetic: face 0.' in capsys.readouterr().out
    assert train('--resume', run, '--steps', 3) == 0
    lines = [json.loads(line) for line in (run / 'journal.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines if 'train/labels' in line] == [1, 2, 3]
    report = capsys.readouterr().out
    evaluate = importlib.import_module('scripts.evaluate').main
    assert evaluate(['--network', str(run / 'parser.safetensors'), '--root', str(folder), '--device', 'cpu']) == 0
    assert capsys.readouterr().out == report


@pytest.mark.parametrize('arguments', [('--preset', 'parser-occlusion'), ('--init', 'parsing-unet')])
def test_training_begins_with_the_initial_weights(train, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(networks, 'measure', lambda *_, **__: {'face': 0.0, 'images': 0, 'parts': {}})
    train(*arguments, '--steps', 1, '--out', tmp_path / 'run', settings=['param_groups.default.lr=1e-9', 'engine.ema=0'])
    trained, init = (read_state(path)['out.0.weight'] for path in (tmp_path / 'run/parser.safetensors', file_of('parsing-unet')))
    assert (trained - init).abs().max() < 1e-3 < init.abs().max()


@pytest.mark.parametrize('kind', [ValueError, OSError])
def test_failed_measurement_is_one_sentence_and_the_parser_is_written(train, tmp_path, monkeypatch, capsys, kind):
    def refuse(*_, **__):
        raise kind('no test images in this folder')

    monkeypatch.setattr(networks, 'measure', refuse)
    assert train('--steps', 1, '--out', tmp_path / 'run') == 1
    assert capsys.readouterr().err.splitlines()[-1] == 'train.py: no test images in this folder'
    assert (tmp_path / 'run' / 'parser.safetensors').is_file()


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--root', 'nowhere'], 'nowhere'),
    (['--set', 'model.weights.labels=x'], 'labels'),
    (['--set', 'model.init=nowhere.safetensors'], 'nowhere'),
    (['--data', 'celeba'], 'data.name has no effect on the family parser'),
])
def test_invalid_argument_raises_one_sentence(train, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert train(*arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error and error.startswith('train.py: ')
