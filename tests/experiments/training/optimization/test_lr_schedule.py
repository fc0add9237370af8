import pytest

from configs.schema import OptimizerConfig
from experiments.training.optimization.lr_schedule import learning_rate


def rates(steps: int = 100, **settings) -> list[float]:
    config = OptimizerConfig(lr=1.0, **settings)
    return [learning_rate(config, step, steps) for step in range(steps)]


@pytest.mark.parametrize('schedule', ['constant', 'linear', 'cosine'])
def test_warm_up_climbs_evenly_to_the_full_rate(schedule):
    got = rates(schedule=schedule, warmup=10)
    assert got[:10] == pytest.approx([0.1 * number for number in range(1, 11)])
    assert max(got) == pytest.approx(1.0)


def test_constant_stays():
    assert set(rates(schedule='constant')) == {1.0}


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
def test_decay_falls_to_its_floor(schedule):
    got = rates(schedule=schedule, warmup=10, decay_from=0.5, floor=0.1)
    assert set(got[9:50]) == {1.0}
    assert all(later < earlier for earlier, later in zip(got[50:], got[51:]))
    assert 0.1 < got[-1] < 0.13
    assert learning_rate(OptimizerConfig(lr=1.0, schedule=schedule, floor=0.1), 500, 100) == pytest.approx(0.1)


def test_half_way_down():
    assert rates(schedule='linear')[50] == pytest.approx(0.5)
    assert rates(schedule='cosine')[50] == pytest.approx(0.5)
    assert rates(schedule='cosine')[25] > rates(schedule='linear')[25]


def test_the_rate_drops_to_a_tenth():
    got = rates(drops=(0.5, 0.75))
    assert got[49] == 1 and got[50] == got[74] == pytest.approx(0.1) and got[75] == pytest.approx(0.01)
    assert rates(schedule='linear', drops=(0.5,))[50] == pytest.approx(0.05)
