"""scripts/train_parser.py from start to its last line."""
import importlib
import json

import pytest

from models.perception.build import file_of
from models.storage.convert import read_state
from tests.datasets import layouts

TINY = ['model.size=32', 'data.batch=4', 'data.workers=0', 'data.validation_batches=1', 'engine.accelerator=cpu',
        'engine.log_every=1']


@pytest.fixture
def script(monkeypatch):
    module = importlib.import_module('scripts.train_parser')
    measured = module.measure
    monkeypatch.setattr(module, 'measure', lambda *given, **named: measured(*given, **named, max_images=6))
    return lambda *words: module.main([*map(str, words), *(word for setting in TINY for word in ('--set', setting))])


def test_it_trains_goes_on_and_measures(script, tmp_path, capsys):
    folder, run = layouts.celebamask(tmp_path / 'hq', numbers=range(12)), tmp_path / 'run'
    assert script('--root', folder, '--steps', 2, '--out', run) == 0
    assert 'on synthetic: face 0.' in capsys.readouterr().out
    assert script('--resume', run, '--steps', 3) == 0
    lines = [json.loads(line) for line in (run / 'journal.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines if 'train/labels' in line] == [1, 2, 3]
    row = capsys.readouterr().out
    assert script('--evaluate', run / 'parser.safetensors', '--root', folder) == 0
    assert capsys.readouterr().out == row


def test_training_starts_from_the_weights_that_are_given(script, tmp_path, monkeypatch):
    monkeypatch.setattr('scripts.train_parser.measure', lambda *_, **__: {'face': 0.0, 'images': 0, 'parts': {}})
    script('--preset', 'parser-occlusion', '--steps', 1, '--out', tmp_path / 'run', '--set', 'param_groups.default.lr=1e-9')
    trained, init = (read_state(path)['out.0.weight'] for path in (tmp_path / 'run/parser.safetensors', file_of('parsing-unet')))
    assert (trained - init).abs().max() < 1e-3 < init.abs().max()


@pytest.mark.parametrize('kind', [ValueError, OSError])
def test_what_cannot_be_measured_afterwards_is_one_sentence_and_the_parser_stays(script, tmp_path, monkeypatch, capsys, kind):
    def refused(*_, **__):
        raise kind('no test images in this folder')

    monkeypatch.setattr('scripts.train_parser.measure', refused)
    assert script('--steps', 1, '--out', tmp_path / 'run') == 1
    assert capsys.readouterr().err.splitlines()[-1] == 'train_parser.py: no test images in this folder'
    assert (tmp_path / 'run' / 'parser.safetensors').is_file()


@pytest.mark.parametrize(('words', 'message'), [
    (['--root', 'nowhere'], 'nowhere'),
    (['--evaluate', 'no-such-parser'], 'no-such-parser'),
    (['--label', 'cache', '--root', 'nowhere'], 'parsing-unet-small'),
    (['--set', 'model.weights.labels=x'], 'labels'),
    (['--set', 'model.init=nowhere.safetensors'], 'nowhere'),
])
def test_a_mistake_is_one_sentence(script, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    assert script(*words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said and said.startswith('train_parser.py: ')
