"""Every network of the fixtures folder has the names, shapes, dtypes and values of the published one.

`pytest tests/parity --fixtures DIR --input-stream NAME` reads another folder of the same format.
"""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import weights
from models.storage.convert import read_state
from tests.parity.network import Network
from tests.parity.networks import CHECKPOINTS, NETWORKS
from tests.parity.rule import Facts, first_difference


def pytest_generate_tests(metafunc):
    root = metafunc.config.getoption('--fixtures')
    folders = sorted(path for path in root.glob('*') if path.is_dir() and any(path.glob('*.npz')))
    if not folders:
        raise pytest.UsageError(f'{root} holds no parity fixtures; expected NETWORK/manifest.json and NETWORK/fixture.npz')
    if 'checkpoint' in metafunc.fixturenames:
        cases = [case for case in CHECKPOINTS if (root / case[0] / f'{case[1]}.npz').is_file()]
        metafunc.parametrize('checkpoint', cases, ids='-'.join)
    else:
        metafunc.parametrize('case', folders, ids=[folder.name for folder in folders], indirect=True, scope='module')


@pytest.fixture(scope='module')
def case(request) -> tuple[Network, nn.Module, Facts]:
    """The network as built (not yet filled) and its facts; skips folders that the suite does not know."""
    folder: Path = request.param
    if folder.name not in NETWORKS:
        pytest.skip(f'the suite knows no network named {folder.name}: add it to those of tests/parity/networks.py')
    facts = Facts.read(folder, request.config.getoption('--input-stream'))
    return NETWORKS[folder.name], NETWORKS[folder.name].build(facts.config).eval(), facts


def _entries(network: nn.Module) -> dict[str, dict]:
    return {name: {'shape': list(value.shape), 'dtype': str(value.dtype).removeprefix('torch.')}
            for name, value in network.state_dict().items()}


def test_state_dict_has_the_published_entries(case):
    """At the size of the fixture, and at every published size that the folder knows, built without memory."""
    known, network, facts = case
    for path in facts.folder.glob('manifest*.json'):
        manifest, built = json.loads(path.read_text()), network
        if manifest['config'] != facts.config:
            with torch.device('meta'):
                built = known.build(manifest['config'])
        ours = _entries(built)
        theirs = {name: {'shape': entry['shape'], 'dtype': entry['dtype']} for name, entry in manifest['entries'].items()}
        assert ours == theirs, path.name
        assert list(ours) == list(theirs), f'{path.name}: same entries, another order'


def test_outputs_equal_the_published_network(case):
    known, network, facts = case
    network.load_state_dict({**network.state_dict(), **facts.weights()})
    _check_inputs_and_weights(network, facts)
    outputs = known.call(network, facts)
    assert sorted(outputs) == sorted(set(facts.outputs()) - {'x', 'weight', 'labels', 'loss_iterations'})
    for name, output in outputs.items():
        _check_output(name, output.detach(), known, network, facts)


def test_published_checkpoint(checkpoint, request):
    folder, fixture = checkpoint
    facts = Facts.read(request.config.getoption('--fixtures') / folder, request.config.getoption('--input-stream'), fixture)
    network = NETWORKS[folder].build(facts.config).eval()
    entry = weights.entry(CHECKPOINTS[checkpoint])
    beside = Path(__file__).resolve().parents[2] / '../shared/weights'
    places = [request.config.getoption('--weights-dir'), weights.cache(), beside]
    found = [place / entry.file for place in places if place is not None and (place / entry.file).is_file()]
    if not found:
        pytest.skip(f'{entry.file} is not here: give --weights-dir or run `python scripts/weights.py fetch {entry.name}`')
    network.load_state_dict(read_state(found[0], entry.member))
    _check_inputs_and_weights(network, facts)
    for name, output in NETWORKS[folder].call(network, facts).items():
        _check_output(name, output, NETWORKS[folder], network, facts)


def _check_inputs_and_weights(network: nn.Module, facts: Facts) -> None:
    if 'input_head' in facts.fixture:
        head = facts.inputs()[0].flatten()[:16]
        assert torch.allclose(head, facts.tensor('input_head'), rtol=0, atol=1e-6), 'the input is not that of the fixture'
    for key, measure in {'weights_sum': lambda value: value, 'weights_abs_sum': torch.abs}.items():
        if key in facts.fixture:
            total = sum(float(measure(value.double()).sum()) for value in network.state_dict().values())
            size = float(facts.fixture['weights_abs_sum'].item())
            assert total == pytest.approx(facts.fixture[key].item(), rel=0, abs=1e-9 * size), f'{key} differs'


def _check_output(name: str, output: Tensor, known: Network, network: nn.Module, facts: Facts) -> None:
    """Shape, stored values, and mean, deviation and largest value of the whole output."""
    expected = facts.fixture[name]
    stats = facts.fixture.get(f'{name}__stats', np.array([np.nan, np.nan, np.abs(expected).max()]))
    stride = facts.fixture.get(f'{name}__stride', [1] * expected.ndim)
    assert list(output.shape) == list(facts.fixture.get(f'{name}__shape', expected.shape)), name
    value = output.double().numpy()
    difference = np.abs(value[tuple(slice(None, None, step) for step in stride)] - expected)
    ours = np.array([value.mean(), value.std(), np.abs(value).max()])
    if name in known.labels:
        assert (difference > 0).mean() <= 1e-3, f'{name}: more labels differ than ties explain'
        assert np.allclose(ours, stats, rtol=0, atol=1e-3 * stats[2]), f'{name}: statistics of all labels differ'
        return
    tolerance = known.tolerance.get(name, 2e-5) * stats[2]
    if difference.max() > tolerance or np.nanmax(np.abs(ours - stats)) > tolerance or not np.isfinite(value).all():
        where = first_difference(network, facts) if 'stage_names' in facts.fixture else 'the fixture knows no inner module'
        pytest.fail(f'{name}: largest difference {difference.max() / stats[2]:.2e} of the largest value, statistics off by '
                    f'{np.nanmax(np.abs(ours - stats)) / stats[2]:.2e}, allowed {tolerance / stats[2]:.0e}; {where}')
