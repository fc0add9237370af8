import subprocess

import pytest
import torch

from models import registry
from tests.experiments.disks import SIZE


@pytest.fixture(autouse=True)
def registered_toy(monkeypatch):
    """The toy family in the registry."""
    entry = registry.FamilyEntry('tests.experiments.training.toy', 'Toy', 'ToyConfig', 'swap')
    monkeypatch.setitem(registry.FAMILIES, 'toy', entry)


@pytest.fixture(autouse=True)
def single_thread():
    """Results are bit-exact for equal numbers of threads only."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of SIZE bytes."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs', folder], capture_output=True).returncode:
        pytest.skip('mounting a small file system needs privileges')
    yield folder
    subprocess.run(['umount', folder], check=True)
