import torch

from experiments.tally import Tally


def test_means_cover_the_time_since_the_last_reading():
    tally = Tally()
    for step, value in enumerate([1.0, 2.0]):
        tally.add(step, {'a': torch.tensor(value)})
    tally.add(2, {'b': torch.tensor(5.0)})
    assert tally.means() == {'a': 1.5, 'b': 5.0}
    tally.add(3, {'a': torch.tensor(7.0)})
    assert tally.means() == {'a': 7.0}


def test_the_first_bad_value_is_remembered_however_late_one_asks():
    tally = Tally()
    for step in range(10):
        late, once = float('nan') if step >= 6 else 1.0, float('inf') if step == 4 else 0.0
        tally.add(step, {'a': torch.tensor(late), 'b': torch.tensor(once)})
    tally.means()
    assert tally.bad() == (4, 'b')
    assert Tally().bad() is None
