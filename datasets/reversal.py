"""Reversed pairs of a cache by a trained swapper."""
from collections.abc import Callable
from functools import partial
from pathlib import Path

from datasets.samples.reversed import reverse
from models import weights
from models.perception.build import build_perception
from models.registry import load_family
from models.swap.reversal import paste_swap


def reverse_cache(cache: str | Path, swapper: str, *, per_image: int = 2, seed: int = 0,
                  progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Write the reversed pairs of a cache, unless it has them, and return their number.

    Args:
        cache: folder of datasets.cache, with label maps.
        swapper: a name in models.weights or a family.safetensors.
        per_image: swaps per image.
        seed: random seed of the swapped identities.
        progress: called with the number of pairs written and the total.

    Raises:
        ValueError: the file holds no swap family, or the cache does not fit (datasets.samples.reversed.reverse).
        models.weights.WeightsError: the weights are missing.
    """
    file = weights.locate(swapper)
    perception = build_perception()
    family = load_family(file, perception, task='swap')
    return reverse(cache, partial(paste_swap, family), perception.require('parser').labels, name=weights.digest(file),
                   per_image=per_image, seed=seed, progress=progress)
