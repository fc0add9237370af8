import torch

from experiments.training.logging.meters import MeanMeter


def test_means_cover_the_time_since_the_last_reading():
    meter = MeanMeter()
    for step, value in enumerate([1.0, 2.0]):
        meter.add(step, {'a': torch.tensor(value)})
    meter.add(2, {'b': torch.tensor(5.0)})
    assert meter.means() == {'a': 1.5, 'b': 5.0}
    meter.add(3, {'a': torch.tensor(7.0)})
    assert meter.means() == {'a': 7.0}


def test_the_first_bad_value_is_remembered_however_late_one_asks():
    meter = MeanMeter()
    for step in range(10):
        late, once = float('nan') if step >= 6 else 1.0, float('inf') if step == 4 else 0.0
        meter.add(step, {'a': torch.tensor(late), 'b': torch.tensor(once)})
    meter.means()
    assert meter.first_nonfinite() == (4, 'b')
    assert MeanMeter().first_nonfinite() is None


def test_means_leave_out_what_is_not_finite():
    meter = MeanMeter()
    for step, value in enumerate((float('inf'), 2.0, 4.0)):
        meter.add(step, {'gradient': torch.tensor(value), 'overflow': torch.tensor(float('nan'))})
    means = meter.means()
    assert means['gradient'] == 3 and means['overflow'] != means['overflow']
