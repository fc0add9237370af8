"""Learning rate schedules."""
import pytest

from configs.schema import OptimizerConfig
from experiments.training.optimization.lr_schedule import learning_rate


def learning_rates(steps: int = 100, **settings) -> list[float]:
    config = OptimizerConfig(lr=1.0, **settings)
    return [learning_rate(config, step, steps) for step in range(steps)]


@pytest.mark.parametrize('schedule', ['constant', 'linear', 'cosine'])
def test_warmup_is_linear(schedule):
    lrs = learning_rates(schedule=schedule, warmup=10)
    assert lrs[:10] == pytest.approx([0.1 * number for number in range(1, 11)])
    assert max(lrs) == pytest.approx(1.0)


def test_constant_schedule_is_constant():
    assert set(learning_rates(schedule='constant')) == {1.0}


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
def test_decay_ends_at_the_floor(schedule):
    lrs = learning_rates(schedule=schedule, warmup=10, decay_from=0.5, floor=0.1)
    assert set(lrs[9:50]) == {1.0}
    assert all(later < earlier for earlier, later in zip(lrs[50:], lrs[51:]))
    assert 0.1 < lrs[-1] < 0.13
    assert learning_rate(OptimizerConfig(lr=1.0, schedule=schedule, floor=0.1), 500, 100) == pytest.approx(0.1)


def test_decay_at_half_of_the_run():
    assert learning_rates(schedule='linear')[50] == pytest.approx(0.5)
    assert learning_rates(schedule='cosine')[50] == pytest.approx(0.5)
    assert learning_rates(schedule='cosine')[25] > learning_rates(schedule='linear')[25]


def test_each_drop_divides_by_ten():
    lrs = learning_rates(drops=(0.5, 0.75))
    assert lrs[49] == 1 and lrs[50] == lrs[74] == pytest.approx(0.1) and lrs[75] == pytest.approx(0.01)
    assert learning_rates(schedule='linear', drops=(0.5,))[50] == pytest.approx(0.05)
