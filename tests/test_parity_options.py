"""Options of the parity suite: `pytest tests/parity --fixtures DIR --input-stream NAME`."""
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.parity.fixture import Fixture
from tests.parity.networks import NETWORKS
from tests.parity.test_parity import _check_inputs_and_weights

ROOT = Path(__file__).resolve().parents[1]
NAME = 'mobilefacenet_112x96'


@pytest.fixture
def other(tmp_path) -> Fixture:
    """A fixture whose input is from the stream `other`; its parent folder also has one without an entry."""
    folder = tmp_path / NAME
    folder.mkdir()
    shutil.copy(ROOT / 'tests/fixtures/parity' / NAME / 'manifest.json', folder)
    fixture = replace(Fixture.read(ROOT / 'tests/fixtures/parity' / NAME, 'other'), folder=folder, arrays={})
    network = NETWORKS[NAME].build(fixture.config).eval()
    network.load_state_dict(fixture.weights())
    embedding = NETWORKS[NAME].call(network, fixture)['embedding'].numpy()
    fixture.arrays.update(embedding=embedding, input_head=fixture.inputs()[0].flatten()[:16].numpy())
    np.savez(folder / 'fixture.npz', **fixture.arrays)
    (tmp_path / 'some_other_network').mkdir()
    np.savez(tmp_path / 'some_other_network/fixture.npz', out=np.zeros(3))
    return fixture


def test_other_fixtures_run_and_those_without_an_entry_are_skipped(other):
    result = subprocess.run([sys.executable, '-m', 'pytest', 'tests/parity/test_parity.py', '-q', '-rs', '-p', 'no:cacheprovider',
                           '--fixtures', str(other.folder.parent), '--input-stream', 'other'],
                          cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert '2 passed' in result.stdout and 'no entry some_other_network' in result.stdout


def test_an_input_from_another_stream_fails(other):
    with pytest.raises(AssertionError, match='not that of the fixture'):
        _check_inputs_and_weights(NETWORKS[NAME].build(other.config), replace(other, input_stream='input'))
