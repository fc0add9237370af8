"""The options --fixtures and --input-stream of the parity suite."""
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.parity.fixture import Fixture
from tests.parity.registry import NETWORKS
from tests.parity.test_parity import _check_inputs_and_weights

ROOT = Path(__file__).resolve().parents[1]
NAME = 'mobilefacenet_112x96'


@pytest.fixture
def other_fixture(tmp_path) -> Fixture:
    """A folder of fixtures with a network of the suite, whose input has the stream `other`, and an unknown network."""
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


def test_fixtures_of_another_folder_are_run_and_unknown_networks_skipped(other_fixture):
    process = subprocess.run([sys.executable, '-m', 'pytest', 'tests/parity/test_parity.py', '-q', '-rs',
                              '-p', 'no:cacheprovider', '--fixtures', str(other_fixture.folder.parent),
                              '--input-stream', 'other'],
                             cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}, timeout=300)
    assert process.returncode == 0, process.stdout + process.stderr
    assert '2 passed' in process.stdout and 'no entry for some_other_network' in process.stdout


def test_inputs_of_another_stream_fail(other_fixture):
    with pytest.raises(AssertionError, match='not that of the fixture'):
        _check_inputs_and_weights(NETWORKS[NAME].build(other_fixture.config), replace(other_fixture, input_stream='input'))
