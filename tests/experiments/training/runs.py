"""Runs of the toy family: their journals, resuming, comparison of weights."""
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.training.engine import Engine
from tests.experiments.training.toy import toy_engine

SCRIPT = Path(__file__).resolve().parents[1] / 'toy_run.py'
ENVIRONMENT = {**os.environ, 'OMP_NUM_THREADS': '1'}

State = dict[str, Tensor]


def command(folder: Path, *options: str) -> list[str]:
    """The command line that trains in `folder`."""
    return [sys.executable, str(SCRIPT), '--folder', str(folder), *options]


def is_equal(first: State, second: State) -> bool:
    """Whether two states have the same names and bit-exact values."""
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def max_difference(first: State, second: State) -> float:
    """Largest absolute difference of two states of the same names."""
    return max(float((value - second[name]).abs().max()) for name, value in first.items())


def journal(folder: Path, event: str) -> list[dict[str, Any]]:
    """The lines of one event."""
    lines = map(json.loads, (folder / 'journal.jsonl').read_text().splitlines())
    return [line for line in lines if line['event'] == event]


def steps(folder: Path) -> list[int]:
    """The steps of the training lines."""
    return [line['step'] for line in journal(folder, 'train')]


def final_state(engine: Engine) -> State:
    """The family's weights, and its EMA weights under names that begin with `ema `."""
    state = {name: value.clone() for name, value in engine.family.state_dict().items()}
    with engine.ema.applied():
        return state | {f'ema {name}': value.clone() for name, value in engine.family.state_dict().items()}


def resumed(folder: Path, **settings) -> State:
    """The final state of a run that is resumed from a family of other random weights."""
    torch.manual_seed(99)
    engine = toy_engine(folder, **settings)
    engine.resume()
    engine.fit()
    return final_state(engine)
