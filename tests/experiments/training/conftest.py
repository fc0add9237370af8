"""Fixtures of the tests of training."""
import pytest
import torch

from tests.experiments.training.runs import State, final_state
from tests.experiments.training.toy import toy_engine


@pytest.fixture(scope='session')
def uninterrupted(tmp_path_factory) -> State:
    """The final state of 8 uninterrupted steps."""
    torch.set_num_threads(1)
    engine = toy_engine(tmp_path_factory.mktemp('uninterrupted') / 'run')
    engine.fit()
    return final_state(engine)
