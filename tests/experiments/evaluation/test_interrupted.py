"""Resumption of evaluations after kills and on a full disk."""
import json
import random
from functools import partial

import pytest

from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.swaps import synthetic
from experiments.evaluation.systems import CopySource
from models.storage.files import WriteError
from tests import kills
from tests.experiments.disks import fill, release

NONDETERMINISTIC = ('seconds', 'memory')


@pytest.fixture(scope='module')
def inputs():
    return synthetic(48, 4), Judges('identity-mobilefacenet')


def evaluate(inputs, folder):
    return Evaluation(*inputs, folder, batch=2, visible=False).row(CopySource())


def figures(folder) -> dict:
    file, = folder.rglob('row.json')
    return {name: value for name, value in json.loads(file.read_text())['figures'].items() if name not in NONDETERMINISTIC}


def leftovers(folder) -> list:
    return [path for path in folder.rglob('*') if path.name.startswith('.') or path.suffix in ('.tmp', '.partial', '.part')]


@pytest.mark.parametrize('num_kills', [4, pytest.param(30, marks=pytest.mark.slow)])
def test_a_killed_evaluation_gives_the_same_figures(num_kills, inputs, tmp_path):
    lines = kills.run(lambda: evaluate(inputs, tmp_path / 'uninterrupted'))
    expected, rng = figures(tmp_path / 'uninterrupted'), random.Random(num_kills)
    for number in range(num_kills):
        folder, line = tmp_path / str(number), rng.randint(1, lines - 1)
        assert kills.run(partial(evaluate, inputs, folder), line) is None
        assert kills.run(partial(evaluate, inputs, folder)), f'failed after a kill at line {line} of {lines}'
        assert figures(folder) == expected and not leftovers(folder), f'killed at line {line} of {lines}'


def test_a_full_disk_raises_a_write_error(inputs, tmp_path, small_disk):
    evaluate(inputs, tmp_path / 'uninterrupted')
    for free in (0, 4096, 12_288):
        folder = small_disk / str(free)
        fill(small_disk, free)
        with pytest.raises(WriteError, match='free some space and run the command again'):
            evaluate(inputs, folder)
        assert not leftovers(small_disk)
        release(small_disk)
        evaluate(inputs, folder)
        assert figures(folder) == figures(tmp_path / 'uninterrupted')
