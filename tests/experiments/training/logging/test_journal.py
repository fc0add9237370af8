"""Journal of a run, hash of the code, image grids."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.training.logging.journal import CODE, Journal, code_hash
from models.pipelines.io.image_grid import GAP_PX, grid


def events(folder: Path) -> list[tuple[int, str]]:
    return [(line['step'], line['event']) for line in map(json.loads, (folder / 'journal.jsonl').read_text().splitlines())]


def test_reopened_journal_drops_later_steps_and_an_incomplete_line(tmp_path):
    journal = Journal(tmp_path, 0)
    for step in (1, 2, 3):
        journal.write(step, 'train', {'train/x': 0.5})
    journal.close()
    with open(tmp_path / 'journal.jsonl', 'a') as handle:
        handle.write('{"step": 4, "ev')
    Journal(tmp_path, 2).close()
    assert events(tmp_path) == [(0, 'start'), (1, 'train'), (2, 'train'), (2, 'start')]


def test_start_event_names_the_versions(tmp_path):
    Journal(tmp_path, 0).close()
    start = json.loads((tmp_path / 'journal.jsonl').read_text())
    assert start['torch'] == torch.__version__
    commit = start['commit'].removesuffix('+dirty')
    assert commit == 'unknown' or (len(commit) == 40 and int(commit, 16) >= 0)


def test_code_hash_depends_on_modules_and_weights_only(tmp_path):
    for package in (*CODE, 'scripts'):
        (tmp_path / package).mkdir()
        (tmp_path / package / 'module.py').write_text('x = 1')
    first = code_hash(tmp_path)
    for name in ('README.md', 'models/README.md', 'configs/own.yaml', 'scripts/other.py'):
        (tmp_path / name).write_text('changed')
    assert code_hash(tmp_path) == first
    hashes = {first}
    for package in CODE:
        (tmp_path / package / 'module.py').write_text('x = 2')
        hashes.add(code_hash(tmp_path))
    (tmp_path / 'models' / 'face.safetensors').write_bytes(b'weights')
    assert len(hashes | {code_hash(tmp_path)}) == len(CODE) + 2


def test_grid_places_images_in_columns():
    red, blue = (torch.full((2, 3, 8, 8), -1.0) for _ in range(2))
    red[:, 0], blue[:, 2] = 1, 1
    red[1] *= -1  # the second row of the first column is cyan
    sheet = grid({'a': red, 'b': blue})
    assert sheet.dtype == np.uint8
    rows, columns = np.where((sheet == [255, 0, 0]).all(-1))
    assert len(rows) == 64 and columns.min() == GAP_PX
    cyan = np.argwhere((sheet == [0, 255, 255]).all(-1))
    assert len(cyan) == 64 and cyan[:, 0].min() > rows.max() and cyan[:, 1].min() == GAP_PX
    assert np.argwhere((sheet == [0, 0, 255]).all(-1))[:, 1].min() > columns.max()
    assert (sheet[:rows.min()] < 100).any(), 'the title is missing'


@pytest.mark.parametrize(('columns', 'message'), [
    ({'mask': torch.zeros(2, 1, 8, 8)}, "'mask' has the shape"),
    ({'a': torch.zeros(2, 3, 8, 8), 'b': torch.zeros(1, 3, 8, 8)}, 'different numbers'),
])
def test_grid_of_other_shapes_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        grid(columns)


def test_grid_holds_at_most_the_given_rows():
    assert grid({'a': torch.zeros(20, 3, 8, 8)}, rows=3).shape == grid({'a': torch.zeros(3, 3, 8, 8)}).shape
