"""What every test shares: our own packages come first, no network, slow tests only when asked for."""
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _ours_first() -> None:
    """Put the repository root first on the path and forget packages of the same names that come from elsewhere."""
    sys.path[:] = [str(ROOT), *(place for place in sys.path if place != str(ROOT))]
    for name in ('configs', 'models', 'datasets', 'experiments', 'scripts', 'app'):
        module = sys.modules.get(name)
        places = [Path(place).resolve() for place in getattr(module, '__path__', [])]
        if module is not None and ROOT / name not in places:
            for loaded in [key for key in sys.modules if key == name or key.startswith(f'{name}.')]:
                del sys.modules[loaded]


_ours_first()


def _take_over(parser, option: str) -> None:
    """Free an option string that pytest itself uses; its other names go on working."""
    action = parser.optparser._option_string_actions.pop(option)
    action.option_strings.remove(option)


def pytest_addoption(parser):
    _take_over(parser, '--fixtures')  # pytest's own list of fixtures stays reachable as --funcargs
    parser.addoption('--slow', action='store_true', help='run the tests marked slow too')
    parser.addoption('--fuzz', type=int, default=8, metavar='N', help='tests/fuzz: mutations of each kind of file (default 8)')
    parser.addoption('--fixtures', type=Path, default=ROOT / 'tests' / 'fixtures' / 'parity', metavar='DIR',
                     help='parity suite: folder of NETWORK/manifest.json and NETWORK/fixture.npz')
    parser.addoption('--input-stream', default='input', metavar='NAME',
                     help='parity suite: the inputs of the fixtures were drawn from the streams NAME, NAME:latent, ...')
    parser.addoption('--weights-dir', type=Path, metavar='DIR', help='parity suite: folder that holds published checkpoints')


def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: takes long; runs with --slow or when -m names it')


def pytest_collection_modifyitems(config, items):
    if config.getoption('--slow') or config.option.markexpr:
        return
    slow = [item for item in items if 'slow' in item.keywords]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if 'slow' not in item.keywords]


def _refuse_foreign(address) -> None:
    host = address[0] if isinstance(address, tuple) else None  # a path is a local socket
    if host is not None and host not in ('localhost', '::1', '') and not str(host).startswith('127.'):
        raise RuntimeError(f'a test tried to reach {host} over the network; tests may only use loopback addresses')


@pytest.fixture(scope='session', autouse=True)
def own_settings(tmp_path_factory):
    """Tests keep the key that signs in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CONFIG_HOME', str(tmp_path_factory.mktemp('config')))
        yield


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Connections go to this machine or fail the test."""
    for name in ('connect', 'connect_ex'):
        original = getattr(socket.socket, name)

        def guarded(self, address, original=original):
            _refuse_foreign(address)
            return original(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)
    lookup = socket.getaddrinfo

    def guarded_lookup(host, *rest, **named):
        _refuse_foreign((host.decode() if isinstance(host, bytes) else host or '',))
        return lookup(host, *rest, **named)

    monkeypatch.setattr(socket, 'getaddrinfo', guarded_lookup)
