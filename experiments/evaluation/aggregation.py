"""Figures of metrics: dicts with the mean, the standard deviation and the count of the aggregated values."""
import torch
from torch import Tensor

from experiments.evaluation.metrics.distribution import Moments, frechet_distance, kernel_distance, precision_recall
from experiments.evaluation.shards import Shards

MAX_SAMPLES = 5000  # samples of each set for the kernel distance, precision and recall
MIN_SAMPLES = 5  # samples of a set of swaps or translations; smaller sets have no distances
Figure = dict[str, float]  # mean, deviation, count


def spread(values: Tensor) -> Figure:
    """Mean, standard deviation and count of the finite values (N,)."""
    values = values[torch.isfinite(values)].double()
    if not len(values):
        return {'mean': float('nan'), 'deviation': float('nan'), 'count': 0}
    return {'mean': float(values.mean()), 'deviation': float(values.std(unbiased=False)), 'count': len(values)}


def single(value: float) -> Figure:
    """Figure of a whole set, without deviation."""
    return {'mean': float(value), 'deviation': 0.0, 'count': 1}


def set_distances(fake: Shards, fake_key: str, real: Shards, real_key: str, names: tuple[str, str]) -> dict[str, Figure]:
    """Frechet and kernel distance (titled `names`), precision and recall of two sets of features.

    Empty where features are missing or `fake` has fewer than MIN_SAMPLES. fake_key, real_key: names of the arrays (N,D).
    """
    fake_sample, real_sample = fake.find(fake_key, MAX_SAMPLES), real.find(real_key, MAX_SAMPLES)
    if fake_sample is None or real_sample is None or len(fake_sample) < MIN_SAMPLES:
        return {}
    fake_moments, real_moments = (_moments(shards, key) for shards, key in ((fake, fake_key), (real, real_key)))
    mean, deviation = kernel_distance(fake_sample, real_sample)
    precision, recall = precision_recall(real_sample, fake_sample)
    return {names[0]: single(frechet_distance(fake_moments, real_moments)),
            names[1]: {'mean': mean, 'deviation': deviation, 'count': len(fake_sample)},
            'precision': single(precision), 'recall': single(recall)}


def _moments(shards: Shards, key: str) -> Moments:
    moments = None
    for values in shards.each(key):
        moments = moments or Moments(values.shape[1])
        moments.add(values)
    if moments is None:
        raise KeyError(key)
    return moments
