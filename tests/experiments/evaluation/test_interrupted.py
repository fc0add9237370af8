"""An evaluation that is killed, or meets a full disk, ends in one sentence and continues to the same figures."""
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

TIMED = ('seconds', 'memory')  # figures that differ from run to run


@pytest.fixture(scope='module')
def parts():
    return synthetic(48, 4), Judges('identity-mobilefacenet')


def evaluate(parts, folder):
    return Evaluation(*parts, folder, batch=2, visible=False).row(CopySource())


def figures(folder) -> dict:
    file, = folder.rglob('row.json')
    return {name: value for name, value in json.loads(file.read_text())['figures'].items() if name not in TIMED}


def leftovers(folder) -> list:
    return [path for path in folder.rglob('*') if path.name.startswith('.') or path.suffix in ('.tmp', '.partial', '.part')]


@pytest.mark.parametrize('points', [4, pytest.param(30, marks=pytest.mark.slow)])
def test_a_killed_evaluation_gives_the_same_figures(points, parts, tmp_path):
    lines = kills.run(lambda: evaluate(parts, tmp_path / 'whole'))
    expected, rng = figures(tmp_path / 'whole'), random.Random(points)
    for number in range(points):
        folder, line = tmp_path / str(number), rng.randint(1, lines - 1)
        assert kills.run(partial(evaluate, parts, folder), line) is None
        assert kills.run(partial(evaluate, parts, folder)), f'it failed after a kill at line {line} of {lines}'
        assert figures(folder) == expected and not leftovers(folder), f'killed at line {line} of {lines}'


def test_a_full_disk_ends_an_evaluation_in_one_sentence(parts, tmp_path, small_disk):
    evaluate(parts, tmp_path / 'whole')
    for free in (0, 4096, 12_288):
        folder = small_disk / str(free)
        fill(small_disk, free)
        with pytest.raises(WriteError, match='free some space and run the command again'):
            evaluate(parts, folder)
        assert not leftovers(small_disk)
        release(small_disk)
        evaluate(parts, folder)
        assert figures(folder) == figures(tmp_path / 'whole')
