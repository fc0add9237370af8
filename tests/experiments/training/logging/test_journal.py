import json

import numpy as np
import pytest
import torch

from experiments.training.logging.journal import CODE, Journal, code_hash
from models.pipelines.io.image_grid import GAP, grid


def steps(folder) -> list[tuple[int, str]]:
    return [(line['step'], line['event']) for line in map(json.loads, (folder / 'journal.jsonl').read_text().splitlines())]


def test_a_reopened_journal_forgets_what_lies_beyond_and_mends_a_torn_line(tmp_path):
    journal = Journal(tmp_path, 0)
    for step in (1, 2, 3):
        journal.write(step, 'train', {'train/x': 0.5})
    journal.close()
    with open(tmp_path / 'journal.jsonl', 'a') as handle:
        handle.write('{"step": 4, "ev')
    Journal(tmp_path, 2).close()
    assert steps(tmp_path) == [(0, 'start'), (1, 'train'), (2, 'train'), (2, 'start')]


def test_the_start_names_the_code(tmp_path):
    Journal(tmp_path, 0).close()
    first = json.loads((tmp_path / 'journal.jsonl').read_text())
    assert first['torch'] == torch.__version__
    commit = first['commit'].removesuffix('+dirty')
    assert commit == 'unknown' or (len(commit) == 40 and int(commit, 16) >= 0)


def test_the_hash_of_the_code_ignores_what_runs_do_not_depend_on(tmp_path):
    for room in (*CODE, 'scripts'):
        (tmp_path / room).mkdir()
        (tmp_path / room / 'module.py').write_text('x = 1')
    first = code_hash(tmp_path)
    for name in ('README.md', 'models/README.md', 'configs/own.yaml', 'scripts/other.py'):
        (tmp_path / name).write_text('changed')
    assert code_hash(tmp_path) == first
    hashes = {first}
    for room in CODE:
        (tmp_path / room / 'module.py').write_text('x = 2')
        hashes.add(code_hash(tmp_path))
    (tmp_path / 'models' / 'face.safetensors').write_bytes(b'weights')
    assert len(hashes | {code_hash(tmp_path)}) == len(CODE) + 2


def test_the_grid_shows_each_image_in_its_place():
    red, blue = (torch.full((2, 3, 8, 8), -1.0) for _ in range(2))
    red[:, 0], blue[:, 2] = 1, 1
    red[1] *= -1  # the second row of the first column is cyan
    sheet = grid({'a': red, 'b': blue})
    assert sheet.dtype == np.uint8
    rows, columns = np.where((sheet == [255, 0, 0]).all(-1))
    assert len(rows) == 64 and columns.min() == GAP
    cyan = np.argwhere((sheet == [0, 255, 255]).all(-1))
    assert len(cyan) == 64 and cyan[:, 0].min() > rows.max() and cyan[:, 1].min() == GAP
    assert np.argwhere((sheet == [0, 0, 255]).all(-1))[:, 1].min() > columns.max()
    assert (sheet[:rows.min()] < 100).any(), 'the title is missing'


@pytest.mark.parametrize(('columns', 'message'), [
    ({'mask': torch.zeros(2, 1, 8, 8)}, "'mask' has the shape"),
    ({'a': torch.zeros(2, 3, 8, 8), 'b': torch.zeros(1, 3, 8, 8)}, 'different numbers'),
])
def test_a_grid_of_something_else_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        grid(columns)


def test_a_long_column_is_cut():
    assert grid({'a': torch.zeros(20, 3, 8, 8)}, rows=3).shape == grid({'a': torch.zeros(3, 3, 8, 8)}).shape
