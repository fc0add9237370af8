"""Every source of chance of a process: seeded, captured, restored."""
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_all(seed: int, rank: int = 0) -> None:
    """Seed python, numpy and torch; two (seed, rank) never share a stream."""
    word = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    random.seed(word)
    np.random.seed(word)
    torch.manual_seed(word)


def capture() -> dict:
    """The state of every generator, in types that torch.load(weights_only=True) accepts."""
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    return {
        'python': [version, list(words), gauss],
        'numpy': {'key': torch.from_numpy(numpy_state['state']['key'].astype(np.int64)), 'pos': int(numpy_state['state']['pos']),
                  'has_gauss': int(numpy_state['has_gauss']), 'gauss': float(numpy_state['gauss'])},
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def restore(state: dict) -> None:
    """Put every generator back to where `capture` saw it."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    saved = state['numpy']
    np.random.set_state({'bit_generator': 'MT19937', 'has_gauss': saved['has_gauss'], 'gauss': saved['gauss'],
                         'state': {'key': saved['key'].numpy().astype(np.uint32), 'pos': saved['pos']}})
    torch.set_rng_state(state['torch'])
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])


@contextmanager
def apart(seed: int) -> Iterator[None]:
    """Inside, chance starts from `seed`; afterwards it goes on as though nothing had happened."""
    state = capture()
    seed_all(seed)
    try:
        yield
    finally:
        restore(state)
