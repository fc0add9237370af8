"""Means of losses and throughput."""
import time

import torch

from experiments.training.logging.meters import MeanMeter, Throughput


def test_means_cover_the_values_since_the_last_reading():
    meter = MeanMeter()
    for step, value in enumerate([1.0, 2.0]):
        meter.add(step, {'a': torch.tensor(value)})
    meter.add(2, {'b': torch.tensor(5.0)})
    assert meter.means() == {'a': 1.5, 'b': 5.0}
    meter.add(3, {'a': torch.tensor(7.0)})
    assert meter.means() == {'a': 7.0}


def test_first_nonfinite_value_is_kept_over_readings():
    meter = MeanMeter()
    for step in range(10):
        nan_from_6, inf_at_4 = float('nan') if step >= 6 else 1.0, float('inf') if step == 4 else 0.0
        meter.add(step, {'a': torch.tensor(nan_from_6), 'b': torch.tensor(inf_at_4)})
    meter.means()
    assert meter.first_nonfinite() == (4, 'b')
    assert MeanMeter().first_nonfinite() is None


def test_means_leave_out_nonfinite_values():
    meter = MeanMeter()
    for step, value in enumerate((float('inf'), 2.0, 4.0)):
        meter.add(step, {'norm': torch.tensor(value), 'overflow': torch.tensor(float('nan'))})
    means = meter.means()
    assert means['norm'] == 3 and means['overflow'] != means['overflow']


def test_throughput_is_of_the_time_since_the_last_reading(monkeypatch):
    now = 10.0
    monkeypatch.setattr(time, 'monotonic', lambda: now)
    throughput = Throughput()
    throughput.add(30)
    now = 13.0
    assert throughput.read() == 10
    throughput.add(4)
    now = 15.0
    assert throughput.read() == 2
