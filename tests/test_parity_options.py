"""`pytest tests/parity --fixtures DIR --input-stream NAME` as somebody with other fixtures uses it."""
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.parity.networks import NETWORKS
from tests.parity.rule import Facts
from tests.parity.test_parity import _check_inputs_and_weights

ROOT = Path(__file__).resolve().parents[1]
NAME = 'mobilefacenet_112x96'


@pytest.fixture
def other(tmp_path) -> Facts:
    """A folder with one known network, whose input comes from the stream `other`, and one unknown."""
    folder = tmp_path / NAME
    folder.mkdir()
    shutil.copy(ROOT / 'tests/fixtures/parity' / NAME / 'manifest.json', folder)
    facts = replace(Facts.read(ROOT / 'tests/fixtures/parity' / NAME, 'other'), folder=folder, fixture={})
    network = NETWORKS[NAME].build(facts.config).eval()
    network.load_state_dict(facts.weights())
    embedding = NETWORKS[NAME].call(network, facts)['embedding'].numpy()
    facts.fixture.update(embedding=embedding, input_head=facts.inputs()[0].flatten()[:16].numpy())
    np.savez(folder / 'fixture.npz', **facts.fixture)
    (tmp_path / 'some_other_network').mkdir()
    np.savez(tmp_path / 'some_other_network/fixture.npz', out=np.zeros(3))
    return facts


def test_other_fixtures_are_run_and_unknown_ones_are_skipped_with_a_reason(other):
    done = subprocess.run([sys.executable, '-m', 'pytest', 'tests/parity/test_parity.py', '-q', '-rs', '-p', 'no:cacheprovider',
                           '--fixtures', str(other.folder.parent), '--input-stream', 'other'],
                          cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '2 passed' in done.stdout and 'knows no network named some_other_network' in done.stdout


def test_an_input_from_another_stream_is_noticed(other):
    with pytest.raises(AssertionError, match='not that of the fixture'):
        _check_inputs_and_weights(NETWORKS[NAME].build(other.config), replace(other, input_stream='input'))
