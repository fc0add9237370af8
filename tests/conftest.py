"""Shared by all tests: the import path, options, no network, slow tests on request only."""
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _import_from_root() -> None:
    """Put the repository root first on sys.path and unload packages of the same names that were imported from elsewhere."""
    sys.path[:] = [str(ROOT), *(path for path in sys.path if path != str(ROOT))]
    for name in ('configs', 'models', 'datasets', 'experiments', 'scripts', 'app'):
        package = sys.modules.get(name)
        locations = [Path(path).resolve() for path in getattr(package, '__path__', [])]
        if package is not None and ROOT / name not in locations:
            for module in [key for key in sys.modules if key == name or key.startswith(f'{name}.')]:
                del sys.modules[module]


_import_from_root()


def _release_option(parser, option: str) -> None:
    """Free an option string that pytest itself uses; the other names of its option remain."""
    action = parser.optparser._option_string_actions.pop(option)
    action.option_strings.remove(option)


def pytest_addoption(parser):
    _release_option(parser, '--fixtures')  # pytest's own list of fixtures remains as --funcargs
    parser.addoption('--slow', action='store_true', help='run the tests marked slow too')
    parser.addoption('--fuzz', type=int, default=8, metavar='N', help='tests/fuzz: mutations of each kind of file (default 8)')
    parser.addoption('--fixtures', type=Path, default=ROOT / 'tests' / 'fixtures' / 'parity', metavar='DIR',
                     help='parity suite: folder of NETWORK/manifest.json and NETWORK/fixture.npz')
    parser.addoption('--input-stream', default='input', metavar='NAME',
                     help='parity suite: the inputs of the fixtures are sampled from the streams NAME, NAME:latent, ...')
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


def _refuse_remote(address) -> None:
    """RuntimeError for an address of another machine. A path is a local socket."""
    host = address[0] if isinstance(address, tuple) else None
    if host is not None and host not in ('localhost', '::1', '') and not str(host).startswith('127.'):
        raise RuntimeError(f'a test tried to reach {host} over the network; tests may only use loopback addresses')


@pytest.fixture(scope='session', autouse=True)
def temporary_settings(tmp_path_factory):
    """Settings of the user, such as the key that signs images, are in a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CONFIG_HOME', str(tmp_path_factory.mktemp('config')))
        yield


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Connections to other machines fail the test."""
    for name in ('connect', 'connect_ex'):
        original = getattr(socket.socket, name)

        def guarded(self, address, original=original):
            _refuse_remote(address)
            return original(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)
    lookup = socket.getaddrinfo

    def guarded_lookup(host, *args, **kwargs):
        _refuse_remote((host.decode() if isinstance(host, bytes) else host or '',))
        return lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket, 'getaddrinfo', guarded_lookup)
