"""scripts/train_identity.py from start to its last line."""
import importlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from datasets.faces import PARTITIONS, split_by_name
from models.perception.encoders.files import identities_learned_from
from tests.datasets.webcaricatures import name_of, webcaricatures

TINY = ['model.size=32', 'model.embedding=16', 'data.batch=8', 'data.workers=0', 'engine.accelerator=cpu', 'engine.log_every=1',
        'param_groups.default.lr=0.05']


@pytest.fixture
def train():
    module = importlib.import_module('scripts.train_identity')
    return lambda *words: module.main([*map(str, words), *(word for setting in TINY for word in ('--set', setting))])


@pytest.fixture
def folder(tmp_path):
    """Sixty people of two small images each: a color of one's own, a little brighter or darker."""
    random = np.random.default_rng(0)
    for person in range(60):
        color = random.integers(40, 200, 3)
        for number in range(2):
            place = tmp_path / f'people/person{person}/{number}.png'
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.broadcast_to(color + 20 * number, (40, 40, 3)).astype(np.uint8)).save(place)
    return tmp_path / 'people'


def test_it_trains_goes_on_and_measures_people_that_it_never_saw(train, folder, tmp_path, capsys):
    run, data = tmp_path / 'run', ('--data', 'folder', '--root', folder)
    assert train(*data, '--head', 'cosface', '--steps', 3, '--out', run) == 0
    assert 'auc ' in capsys.readouterr().out
    assert train('--resume', run, '--steps', 5) == 0
    lines = [json.loads(line) for line in (run / 'journal.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines if 'train/margin' in line] == [1, 2, 3, 4, 5]
    row = capsys.readouterr().out
    assert train(*data, '--evaluate', run / 'encoder.safetensors') == 0
    assert capsys.readouterr().out == row


def test_without_people_to_measure_on_the_encoder_is_there_all_the_same(train, folder, tmp_path, capsys):
    people = sorted(path for path in folder.iterdir())
    for path, part in zip(people, split_by_name([path.name for path in people])):
        if part == PARTITIONS.index('test'):
            shutil.rmtree(path)
    assert train('--data', 'folder', '--root', folder, '--steps', 1, '--out', tmp_path / 'run') == 0
    assert 'encoder.safetensors is written but not measured' in capsys.readouterr().err
    assert identities_learned_from(tmp_path / 'run' / 'encoder.safetensors')


@pytest.mark.parametrize(('words', 'message'), [
    (['--head', 'none'], 'returned no loss'),
    (['--data', 'folder', '--root', 'nowhere'], 'nowhere'),
    (['--data', 'folder'], 'root'),
    (['--set', 'model.weights.distill=1'], 'teacher'),
    (['--network', 'iresnet18'], 'model.size=112'),
    (['--evaluate', 'no-such-network'], 'no-such-network'),
])
def test_a_mistake_is_one_sentence(train, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert train('--steps', 1, *words) in (1, 2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said and said.startswith('train_identity.py: ')


def test_fine_tuning_notes_whom_it_knew_and_may_be_measured_on_the_others(train, folder, tmp_path, capsys):
    root = webcaricatures(tmp_path / 'webcaricature', num_identities=20, size=32)
    first, second = tmp_path / 'first', tmp_path / 'second'
    assert train('--data', 'folder', '--root', folder, '--steps', 1, '--out', first) == 0
    options = ('data.partition=verification-2', 'data.balanced=true', 'data.exaggerate=1', 'model.weights.contrast=1',
               'model.trains=last')
    assert train('--data', 'webcaricature', '--root', root, '--init', first / 'encoder.safetensors', '--steps', 2,
                 '--out', second, *(word for option in options for word in ('--set', option))) == 0
    known = identities_learned_from(second / 'encoder.safetensors')
    assert set(json.loads((first / 'learned_from.json').read_text())) < set(known)
    assert {name for name in known if name.startswith('Identity')} == {
        name_of(person) for person in range(20) if person not in (1, 11)}
    lines = [json.loads(line) for line in (second / 'journal.jsonl').read_text().splitlines()]
    assert all({'train/margin', 'train/contrast'} <= set(line) for line in lines if 'train/margin' in line)
    capsys.readouterr()
    assert train('--init', first / 'encoder.safetensors', '--network', 'sphere20', '--out', tmp_path / 'third') == 2
    assert 'is a mobilefacenet, not a sphere20' in capsys.readouterr().err
