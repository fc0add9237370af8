"""How many mutations each test reads."""
import pytest


@pytest.fixture
def count(request) -> int:
    return request.config.getoption('--fuzz')
