"""Parity with published networks: names, shapes and dtypes of the weights, values of the outputs.

`pytest tests/parity --fixtures DIR --input-stream NAME` reads another folder of the same format.
"""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import weights
from models.conversion.convert import read_state
from tests.parity.fixture import Fixture, first_difference
from tests.parity.network import Network
from tests.parity.registry import CHECKPOINTS, NETWORKS


def pytest_generate_tests(metafunc):
    root = metafunc.config.getoption('--fixtures')
    folders = sorted(path for path in root.glob('*') if path.is_dir() and any(path.glob('*.npz')))
    if not folders:
        raise pytest.UsageError(f'{root} has no parity fixtures; expected NETWORK/manifest.json and NETWORK/fixture.npz')
    if 'checkpoint' in metafunc.fixturenames:
        cases = [case for case in CHECKPOINTS if (root / case[0] / f'{case[1]}.npz').is_file()]
        metafunc.parametrize('checkpoint', cases, ids='-'.join)
    else:
        metafunc.parametrize('case', folders, ids=[folder.name for folder in folders], indirect=True, scope='module')


@pytest.fixture(scope='module')
def case(request) -> tuple[Network, nn.Module, Fixture]:
    """A network, its module without the weights of the fixture, and the fixture. Skips folders without an entry in NETWORKS."""
    folder: Path = request.param
    if folder.name not in NETWORKS:
        pytest.skip(f'no entry for {folder.name} in tests/parity/registry.py')
    fixture = Fixture.read(folder, request.config.getoption('--input-stream'))
    return NETWORKS[folder.name], NETWORKS[folder.name].build(fixture.config).eval(), fixture


def _entries(network: nn.Module) -> dict[str, dict]:
    return {name: {'shape': list(value.shape), 'dtype': str(value.dtype).removeprefix('torch.')}
            for name, value in network.state_dict().items()}


def test_state_dict_has_the_published_entries(case):
    """At the size of the fixture, and on the meta device at every published size with a manifest."""
    entry, network, fixture = case
    for path in fixture.folder.glob('manifest*.json'):
        manifest, module = json.loads(path.read_text()), network
        if manifest['config'] != fixture.config:
            with torch.device('meta'):
                module = entry.build(manifest['config'])
        entries = _entries(module)
        published = {name: {'shape': item['shape'], 'dtype': item['dtype']} for name, item in manifest['entries'].items()}
        assert entries == published, path.name
        assert list(entries) == list(published), f'{path.name}: equal entries in another order'


def test_outputs_equal_the_published_network(case):
    entry, network, fixture = case
    network.load_state_dict({**network.state_dict(), **fixture.weights()})
    _check_inputs_and_weights(network, fixture)
    outputs = entry.call(network, fixture)
    assert sorted(outputs) == sorted(set(fixture.outputs()) - {'x', 'weight', 'labels', 'loss_iterations'})
    for name, output in outputs.items():
        _check_output(name, output.detach(), entry, network, fixture)


def test_published_checkpoint(checkpoint, request):
    folder, name = checkpoint
    fixture = Fixture.read(request.config.getoption('--fixtures') / folder, request.config.getoption('--input-stream'), name)
    network = NETWORKS[folder].build(fixture.config).eval()
    entry = weights.entry(CHECKPOINTS[checkpoint])
    folders = [request.config.getoption('--weights-dir'), weights.cache()]
    files = [folder / entry.file for folder in folders if folder is not None and (folder / entry.file).is_file()]
    if not files:
        pytest.skip(f'{entry.file} is missing: give --weights-dir or run `python scripts/weights.py fetch {entry.name}`')
    network.load_state_dict(read_state(files[0], entry.member))
    _check_inputs_and_weights(network, fixture)
    for name, output in NETWORKS[folder].call(network, fixture).items():
        _check_output(name, output, NETWORKS[folder], network, fixture)


def _check_inputs_and_weights(network: nn.Module, fixture: Fixture) -> None:
    if 'input_head' in fixture.arrays:
        head = fixture.inputs()[0].flatten()[:16]
        assert torch.allclose(head, fixture.tensor('input_head'), rtol=0, atol=1e-6), 'the input is not that of the fixture'
    for key, measure in {'weights_sum': lambda value: value, 'weights_abs_sum': torch.abs}.items():
        if key in fixture.arrays:
            total = sum(float(measure(value.double()).sum()) for value in network.state_dict().values())
            size = float(fixture.arrays['weights_abs_sum'].item())
            assert total == pytest.approx(fixture.arrays[key].item(), rel=0, abs=1e-9 * size), f'{key} differs'


def _check_output(name: str, output: Tensor, entry: Network, network: nn.Module, fixture: Fixture) -> None:
    """Compare shape, stored values, and mean, deviation and maximum of the whole output."""
    expected = fixture.arrays[name]
    stats = fixture.arrays.get(f'{name}__stats', np.array([np.nan, np.nan, np.abs(expected).max()]))
    stride = fixture.arrays.get(f'{name}__stride', [1] * expected.ndim)
    assert list(output.shape) == list(fixture.arrays.get(f'{name}__shape', expected.shape)), name
    value = output.double().numpy()
    difference = np.abs(value[tuple(slice(None, None, step) for step in stride)] - expected)
    measured = np.array([value.mean(), value.std(), np.abs(value).max()])
    if name in entry.labels:
        assert (difference > 0).mean() <= 1e-3, f'{name}: more labels differ than ties explain'
        assert np.allclose(measured, stats, rtol=0, atol=1e-3 * stats[2]), f'{name}: statistics of all labels differ'
        return
    tolerance = entry.tolerance.get(name, 2e-5) * stats[2]
    if difference.max() > tolerance or np.nanmax(np.abs(measured - stats)) > tolerance or not np.isfinite(value).all():
        where = first_difference(network, fixture) if 'stage_names' in fixture.arrays else 'the fixture has no inner modules'
        pytest.fail(f'{name}: largest difference {difference.max() / stats[2]:.2e} of the largest value, statistics off by '
                    f'{np.nanmax(np.abs(measured - stats)) / stats[2]:.2e}, allowed {tolerance / stats[2]:.0e}; {where}')
