"""Benchmarks of inference and of a training step."""
import pytest

from experiments.benchmarks.inference import swapping_figures, training_figures


@pytest.mark.parametrize(('measure', 'size'), [(swapping_figures, 32), (training_figures, 96)])
def test_figures_are_consistent(measure, size):
    figures = measure(size=size, batch=1, repeats=1, compiled=False, device='cpu')
    assert figures['times as fast'] == pytest.approx(figures['ours, images/s'] / figures['plain, images/s'])
    assert figures['million parameters'] > 55
    assert all(value > 0 for value in figures.values())
