"""Frechet distance, kernel distance, precision and recall, against scipy, loops and closed forms."""
import numpy as np
import pytest
import torch
from scipy import linalg

from experiments.evaluation.metrics.distribution import Moments, frechet_distance, kernel_distance, precision_recall


def features(count, width, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator) / width ** 0.5
    return torch.randn(count, width, generator=generator) @ mixing + shift


def moments(values, parts=1):
    result = Moments(values.shape[1])
    for part in values.chunk(parts):
        result.add(part)
    return result


@pytest.mark.parametrize('count', [400, 30])  # 30: fewer images than features
def test_frechet_distance_equals_that_of_the_matrix_square_root(count):
    a, b = features(count, 48, 1), features(count, 48, 2, 0.3)
    first, second = (np.cov(x.double().numpy(), rowvar=False) for x in (a, b))
    root = linalg.sqrtm(first @ second)
    gap = ((a.double().mean(0) - b.double().mean(0)) ** 2).sum().item()
    expected = gap + np.trace(first) + np.trace(second) - 2 * np.trace(root).real
    assert frechet_distance(moments(a), moments(b)) == pytest.approx(expected, abs=1e-3)
    assert frechet_distance(moments(a), moments(a)) == pytest.approx(0, abs=1e-5)


def test_moments_are_independent_of_the_batches():
    values = features(101, 7, 4, 5.0)
    in_parts = moments(values, 6)
    assert np.allclose(in_parts.covariance.numpy(), np.cov(values.double().numpy(), rowvar=False))
    assert np.allclose(in_parts.mean.numpy(), values.double().mean(0).numpy())


def test_kernel_distance_equals_its_sum():
    a, b = features(12, 5, 1), features(12, 5, 2, 0.5)

    def kernel(x, y):
        return (float(x.double() @ y.double()) / 5 + 1) ** 3

    within = sum(kernel(x[i], x[j]) for x in (a, b) for i in range(12) for j in range(12) if i != j) / (12 * 11)
    across = sum(kernel(x, y) for x in a for y in b) / 144
    mean, deviation = kernel_distance(a, b, subsets=3)  # subsets are the whole sets
    assert mean == pytest.approx(within - 2 * across, rel=1e-9) and deviation == pytest.approx(0, abs=1e-12)
    near, far = (kernel_distance(features(300, 5, 1), features(300, 5, 1, s), size=50)[0] for s in (0, 1))
    assert abs(near) < 0.2 * far
    assert kernel_distance(a, b, subsets=5, size=6) == kernel_distance(a, b, subsets=5, size=6)


def test_precision_and_recall():
    real = torch.arange(20.0)[:, None]
    assert precision_recall(real, real + 0.01) == (1.0, 1.0)
    assert precision_recall(real, real + 1000) == (0.0, 0.0)
    half = torch.cat([torch.arange(10.0), torch.arange(10.0) + 1000])[:, None]
    precision, recall = precision_recall(real, half)
    assert precision == 0.5
    # The 3rd neighbor of 9 among the generated is 6 (3 away), that of 1000 is 3 away: real 0 to 12 lie within.
    assert recall == pytest.approx(13 / 20)
    with pytest.raises(ValueError, match='more than 3'):
        precision_recall(real[:3], real)
