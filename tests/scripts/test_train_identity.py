"""Training of identity encoders by scripts/train.py and their measurement by scripts/evaluate.py."""
import importlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from datasets.faces import PARTITIONS, split_by_name
from models.perception.encoder_files import training_identities
from tests.datasets.webcaricatures import name_of, webcaricatures

TINY = ['model.size=32', 'model.embedding=16', 'data.batch=8', 'data.workers=0', 'engine.accelerator=cpu', 'engine.log_every=1',
        'param_groups.default.lr=0.05']


@pytest.fixture
def train(run_train):
    def run(*arguments, settings=()):
        return run_train('--family', 'recognizer', *arguments, settings=[*TINY, *settings])
    return run


@pytest.fixture
def folder(tmp_path):
    """Sixty identities of two small images each, of one color in two shades."""
    random = np.random.default_rng(0)
    for identity in range(60):
        color = random.integers(40, 200, 3)
        for number in range(2):
            path = tmp_path / f'identities/person{identity}/{number}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.broadcast_to(color + 20 * number, (40, 40, 3)).astype(np.uint8)).save(path)
    return tmp_path / 'identities'


def test_encoder_is_trained_resumed_exported_and_measured(train, folder, tmp_path, capsys):
    run, data = tmp_path / 'run', ('--data', 'folder', '--root', folder)
    assert train(*data, '--steps', 3, '--out', run, settings=['model.head=cosface']) == 0
    assert 'auc ' in capsys.readouterr().out
    assert train('--resume', run, '--steps', 5) == 0
    lines = [json.loads(line) for line in (run / 'journal.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines if 'train/margin' in line] == [1, 2, 3, 4, 5]
    report = capsys.readouterr().out
    evaluate = importlib.import_module('scripts.evaluate').main
    assert evaluate(['--network', str(run / 'encoder.safetensors'), *map(str, data), '--device', 'cpu']) == 0
    assert capsys.readouterr().out == report


def test_encoder_without_test_identities_is_written_and_not_measured(train, folder, tmp_path, capsys):
    identities = sorted(folder.iterdir())
    for path, part in zip(identities, split_by_name([path.name for path in identities])):
        if part == PARTITIONS.index('test'):
            shutil.rmtree(path)
    assert train('--data', 'folder', '--root', folder, '--steps', 1, '--out', tmp_path / 'run') == 0
    assert 'encoder.safetensors is written but not measured' in capsys.readouterr().err
    assert training_identities(tmp_path / 'run' / 'encoder.safetensors')


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--set', 'model.weights.margin=0'], 'returned no loss'),
    (['--data', 'folder', '--root', 'nowhere'], 'nowhere'),
    (['--data', 'folder'], 'root'),
    (['--set', 'model.weights.distill=1'], 'teacher'),
    (['--set', 'model.network=iresnet18'], 'model.size=112'),
    (['--set', 'data.crops=0.5'], 'data.crops has no effect on the family recognizer'),
    (['--set', 'data.exaggerate=1'], 'data.exaggerate=1'),
])
def test_invalid_argument_raises_one_sentence(train, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert train('--steps', 1, *arguments) in (1, 2)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error and error.startswith('train.py: ')


def test_fine_tuning_lists_the_identities_of_both_trainings(train, folder, tmp_path, capsys):
    root = webcaricatures(tmp_path / 'webcaricature', num_identities=20, size=32)
    first, second = tmp_path / 'first', tmp_path / 'second'
    assert train('--data', 'folder', '--root', folder, '--steps', 1, '--out', first) == 0
    settings = ['data.partition=verification-2', 'data.balanced=true', 'data.exaggerate=1', 'model.weights.contrast=1',
                'model.trains=last']
    assert train('--data', 'webcaricature', '--root', root, '--init', first / 'encoder.safetensors', '--steps', 2,
                 '--out', second, settings=settings) == 0
    names = training_identities(second / 'encoder.safetensors')
    assert set(json.loads((first / 'learned_from.json').read_text())) < set(names)
    assert {name for name in names if name.startswith('Identity ')} == {
        name_of(identity) for identity in range(20) if identity not in (1, 11)}
    lines = [json.loads(line) for line in (second / 'journal.jsonl').read_text().splitlines()]
    assert all({'train/margin', 'train/contrast'} <= set(line) for line in lines if 'train/margin' in line)
    capsys.readouterr()
    assert train('--init', first / 'encoder.safetensors', '--out', tmp_path / 'third', settings=['model.network=sphere20']) == 2
    assert 'model.network=sphere20 does not fit the initial weights or the data, which have mobilefacenet' in (
        capsys.readouterr().err)
