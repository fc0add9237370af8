"""Fixtures of the tests of experiments: a toy family, one thread, and a small denoiser with references and an embedder."""
import subprocess

import pytest
import torch

from models import registry
from models.perception.encoders.embedder import Embedder
from tests.contract.stubs import ID_DIM, TinyEmbedder
from tests.experiments.disks import SIZE


@pytest.fixture(autouse=True)
def registered_toy(monkeypatch):
    """The toy family in the registry."""
    entry = registry.FamilyEntry('tests.experiments.training.toy', 'Toy', 'ToyConfig', 'swap')
    monkeypatch.setitem(registry.FAMILIES, 'toy', entry)


@pytest.fixture(autouse=True, scope='module')
def single_thread():
    """Results are bit-exact for equal numbers of threads only."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def embed():
    """A tiny embedder."""
    torch.manual_seed(1)
    return Embedder(TinyEmbedder(), 'arcface')


@pytest.fixture
def denoiser():
    """The denoiser of a tiny diffusion family."""
    torch.manual_seed(0)
    family = registry.build_family(
        'ddpm', {'size': 16, 'widths': (8, 16), 'attention': 1, 'tokens': 2, 'id_dim': ID_DIM}, None)
    return family.eval().requires_grad_(False).denoiser


@pytest.fixture
def references():
    """(3,3,16,16) in [-0.5,0.5]."""
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(2)) - 0.5


@pytest.fixture
def small_disk(tmp_path):
    """A file system of SIZE bytes."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs', folder], capture_output=True).returncode:
        pytest.skip('mounting a small file system needs privileges')
    yield folder
    subprocess.run(['umount', folder], check=True)
