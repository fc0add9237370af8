"""Fixtures of the fuzz tests."""
import pytest


@pytest.fixture
def count(request) -> int:
    """Number of mutations of each kind of file."""
    return request.config.getoption('--fuzz')
