"""Resumption of training after signals and kills, training by two processes, and retention of checkpoints."""
import os
import signal
import subprocess
import time

import pytest
import torch

from experiments.training.errors import Interrupted
from tests.experiments.training.runs import (
    ENVIRONMENT,
    command,
    final_state,
    is_equal,
    journal,
    max_difference,
    resumed,
    steps,
)
from tests.experiments.training.toy import toy_batches, toy_engine


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_resuming_is_bit_exact(tmp_path, uninterrupted, number):
    engine = toy_engine(tmp_path)
    engine.family.on_update = lambda group: engine.step == 4 and group == 'discriminator' and os.kill(os.getpid(), number)
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f'--resume {tmp_path}') as raised:
        engine.fit()
    assert raised.value.signal == number
    assert engine.checkpoints.newest().name == 'step-00000005'
    assert signal.getsignal(number) is handler
    assert is_equal(resumed(tmp_path), uninterrupted)
    assert steps(tmp_path) == list(range(1, 9))


class Killed(BaseException):
    pass


@pytest.mark.parametrize('moment', range(1, 40, 4))
def test_resuming_after_a_kill_at_any_write_is_bit_exact(tmp_path, monkeypatch, uninterrupted, moment):
    """Every file passes through fsync and every new name through replace: the run ends at call number `moment` of these."""
    calls = 0

    def killing(original):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls == moment:
                raise Killed
            return original(*arguments)
        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', killing(os.fsync))
        patch.setattr(os, 'replace', killing(os.replace))
        with pytest.raises(Killed):
            toy_engine(tmp_path).fit()
    assert is_equal(resumed(tmp_path), uninterrupted)
    assert steps(tmp_path) == list(range(1, 9))


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_resuming_after_a_signal_to_all_processes_is_bit_exact(tmp_path, number):
    reference = toy_engine(tmp_path / 'reference', steps=30)
    reference.fit()
    folder = tmp_path / 'interrupted'
    process = subprocess.Popen(command(folder, '--steps', '30', '--workers', '2', '--sleep', '0.05'),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True)
    deadline = time.monotonic() + 300  # a busy machine takes minutes to import torch
    while not list(folder.glob('checkpoints/step-*')) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1 + time.time() % 0.4)  # a moment that differs from run to run
    os.killpg(process.pid, number)
    code = process.wait()
    assert code == -number if number == signal.SIGKILL else code > 0
    saved = [line['step'] for line in journal(folder, 'checkpoint')]
    assert saved[-1] < 30
    if number == signal.SIGTERM:  # saved at the signal, not only at the last planned step
        assert steps(folder)[-1] <= saved[-1]
    assert is_equal(resumed(folder, steps=30, workers=2), final_state(reference))


def test_two_processes_equal_one_of_twice_the_batch(tmp_path):
    finished = subprocess.run(command(tmp_path / 'two', '--steps', '8', '--devices', '2', '--deterministic'),
                              capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    assert finished.returncode == 0, finished.stderr
    first, second = (torch.load(tmp_path / 'two' / f'rank-{rank}.pt', weights_only=True) for rank in (0, 1))
    single = toy_engine(tmp_path / 'one', batch=8, model={'deterministic': True})
    start = {name: value.clone() for name, value in single.family.state_dict().items()}
    single.fit()
    assert is_equal(first, second)
    assert max_difference(first, single.family.state_dict()) < 1e-6 < 1e-4 < max_difference(first, start)
    for line_of_two, line_of_one in zip(journal(tmp_path / 'two', 'train'), journal(tmp_path / 'one', 'train'), strict=True):
        assert line_of_two['train/reconstruction'] == pytest.approx(line_of_one['train/reconstruction'], abs=1e-5)


def test_best_checkpoint_is_kept(tmp_path):
    engine = toy_engine(tmp_path, validation=toy_batches(1), keep=1, best='validation/discriminator', steps=8,
                        param_groups={'discriminator': {'lr': 1e-2}, 'generator': {'lr': 1e-30}})
    engine.fit()
    metrics = {line['step']: line['validation/discriminator'] for line in journal(tmp_path, 'validation')}
    expected = {min(metrics, key=lambda step: (metrics[step], -step)), 8}
    assert {int(path.name.removeprefix('step-')) for path in engine.checkpoints.all()} == expected
