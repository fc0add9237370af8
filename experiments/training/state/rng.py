"""Random number generators of a process (Python, NumPy, PyTorch, CUDA): seeding, saving and restoring their state."""
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_all(seed: int, rank: int = 0) -> None:
    """Seed Python, NumPy and PyTorch; different (seed, rank) give independent streams."""
    word = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    random.seed(word)
    np.random.seed(word)
    torch.manual_seed(word)


def capture() -> dict[str, Any]:
    """The state of all generators, in types that torch.load(weights_only=True) accepts."""
    version, words, gauss = random.getstate()
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)
    return {
        'python': [version, list(words), gauss],
        'numpy': {'key': torch.from_numpy(numpy_state['state']['key'].astype(np.int64)), 'pos': int(numpy_state['state']['pos']),
                  'has_gauss': int(numpy_state['has_gauss']), 'gauss': float(numpy_state['gauss'])},
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def restore(state: dict[str, Any]) -> None:
    """Set all generators to a state that `capture` returned."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    numpy_state = state['numpy']
    np.random.set_state({'bit_generator': 'MT19937', 'has_gauss': numpy_state['has_gauss'], 'gauss': numpy_state['gauss'],
                         'state': {'key': numpy_state['key'].numpy().astype(np.uint32), 'pos': numpy_state['pos']}})
    torch.set_rng_state(state['torch'])
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])


@contextmanager
def fork_rng(seed: int) -> Iterator[None]:
    """Context in which all generators start from `seed`; restores their previous state on exit."""
    state = capture()
    seed_all(seed)
    try:
        yield
    finally:
        restore(state)
