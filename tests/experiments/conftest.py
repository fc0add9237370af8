import pytest
import torch

from models import registry


@pytest.fixture(autouse=True)
def toy_is_a_family(monkeypatch):
    entry = registry.FamilyEntry('tests.experiments.training.toy', 'Toy', 'ToyConfig', 'swap')
    monkeypatch.setitem(registry.FAMILIES, 'toy', entry)


@pytest.fixture(autouse=True)
def one_thread():
    """Equal to the last bit is promised for equal numbers of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
