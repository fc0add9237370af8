"""train.py in this process."""
import importlib
from collections.abc import Callable

import pytest

from tests.contract.stubs import tiny_perception


@pytest.fixture
def run_train(monkeypatch) -> Callable[..., int]:
    """Calls the main function of train.py with small frozen networks: arguments, and `settings` for --set -> exit code."""
    monkeypatch.setattr('experiments.training.tasks.base.build_perception', lambda **names: tiny_perception())
    script = importlib.import_module('scripts.train')

    def run(*arguments: object, settings: tuple[str, ...] | list[str] = ()) -> int:
        return script.main([*map(str, arguments), *(word for setting in settings for word in ('--set', setting))])

    return run
