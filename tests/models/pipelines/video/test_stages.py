"""Processing stages in threads."""
import threading
import time

import pytest

from models.pipelines.video.stages import StageTimer, run_stages


def test_stages_overlap():
    barrier = threading.Barrier(2)  # passed by the first stage's second item and the second stage's first one

    def step(item):
        if item == 1:
            barrier.wait(60)
        return item + 1

    timers = [StageTimer() for _ in range(3)]
    assert list(run_stages(range(20), [(step, timer) for timer in timers[1:]], timers[0])) == list(range(2, 22))


def test_error_of_a_stage_is_raised():
    def refuse(item):
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        list(run_stages(iter([1, 2]), [(str, StageTimer()), (refuse, StageTimer())], StageTimer()))


def test_number_of_items_is_limited():
    created, pending, taken = [], [], 0

    def source():
        for number in range(40):
            created.append(number)
            yield number

    for _ in run_stages(source(), [(lambda item: item, StageTimer()) for _ in range(3)], StageTimer()):
        time.sleep(0.01)  # slower than the stages
        taken += 1
        pending.append(len(created) - taken)
    assert taken == 40 and max(pending) <= 5
