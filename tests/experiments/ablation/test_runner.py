"""Training of the runs of an ablation: failures, signals, subprocesses, estimates, devices."""
import os
import signal
import time

import pytest
import torch

from configs.ablation import AblationConfig
from experiments.ablation import runner
from experiments.ablation.plan import plan
from experiments.ablation.runner import Stopped, estimates, train_all
from experiments.training.errors import RunError
from tests.experiments.ablation.stubs import ENCODERS, ablation, write_run


def test_failures_are_recorded_and_retried(tmp_path):
    runs, trained = plan(ablation(seeds=[0, 1]), tmp_path), []

    def train(run, environment, stopping):
        trained.append(run)
        if run.variant == 'base' and run.seed == 1:
            raise RunError('the loss was not finite')
        write_run(run, environment, stopping)

    train_all(runs, train, [{}, {}])
    assert len(trained) == 4 and [run.state for run in runs] == ['finished', 'failed', 'finished', 'finished']
    assert runs[1].failure == 'the loss was not finite' and runs[0].seconds >= 0
    train_all(runs, write_run, [{}])
    assert runs[1].state == 'finished' and runs[1].failure is None


def test_finished_runs_are_not_trained_again(tmp_path):
    runs, trained = plan(ablation(), tmp_path), []
    train_all(runs, write_run, [{}])
    train_all(runs, lambda run, *_: trained.append(run), [{}])
    assert trained == []


def test_a_signal_stops_the_queue(tmp_path):
    runs, trained = plan(ablation(seeds=[0, 1]), tmp_path), []

    def train(run, environment, stopping):
        trained.append(run)
        os.kill(os.getpid(), signal.SIGTERM)
        while not stopping():
            time.sleep(0.01)
        raise Stopped('saved at step 3')

    with pytest.raises(Stopped):
        train_all(runs, train, [{}])
    assert len(trained) == 1 and all(run.state == 'to do' for run in runs)


def test_subprocesses_are_terminated_and_their_errors_reported(tmp_path, monkeypatch):
    script = tmp_path / 'scripts' / 'train.py'
    script.parent.mkdir()
    script.write_text('import signal, sys, time\n'
                      'signal.signal(signal.SIGTERM, lambda *_: sys.exit("train.py: stopped and saved"))\n'
                      'time.sleep(30) if "--family" in sys.argv else sys.exit("train.py: out of memory")\n')
    monkeypatch.setattr(runner, 'ROOT', tmp_path)
    run = plan(ablation(), tmp_path / 'runs')[0]
    with pytest.raises(Stopped):
        runner.train_by_script(run, {}, lambda: True)
    run.folder.mkdir()
    (run.folder / 'config.yaml').touch()  # a run with a config is resumed
    with pytest.raises(RunError, match='out of memory'):
        runner.train_by_script(run, {}, lambda: False)


def test_estimates_come_from_runs_of_equal_cost_or_a_stored_probe(tmp_path):
    runs, probed, cache = plan(ablation(seeds=[0, 1]), tmp_path / 'runs'), [], tmp_path / 'runs' / 'speeds.json'

    def probe(run, environment, stopping):
        probed.append(run)
        write_run(run, environment, stopping)

    assert estimates(runs, cache) == {}
    seconds = estimates(runs, cache, probe)
    # All runs have equal cost, so there is one probe. 4 steps of 2 images at 8 images per second take 1 s.
    assert seconds == {run.key: 1.0 for run in runs} and len(probed) == 1 and probed[0].config.engine.steps < 10
    assert estimates(runs, cache, probe) == estimates(runs, cache) == seconds and len(probed) == 1
    cache.unlink()
    train_all(runs[:1], write_run, [{}])
    assert estimates(runs, cache) == {run.key: 1.0 for run in runs[1:]}


def test_encoders_have_the_same_script_and_pairs_count_as_two_images(tmp_path, monkeypatch):
    runs = plan(AblationConfig(**ENCODERS), tmp_path / 'runs')
    script = tmp_path / 'scripts' / 'train.py'
    script.parent.mkdir()
    script.write_text('import sys\nsys.exit(" ".join(sys.argv[1:]))\n')
    monkeypatch.setattr(runner, 'ROOT', tmp_path)
    with pytest.raises(RunError) as error:
        runner.train_by_script(runs[0], {}, lambda: False)
    preset = runs[0].folder.with_suffix('.yaml')
    assert str(error.value) == f'--family recognizer --preset {preset} --out {runs[0].folder}'
    assert 'identity-mobilefacenet' in preset.read_text()

    def probe(run, environment, stopping):
        run.folder.mkdir(parents=True)
        (run.folder / 'journal.jsonl').write_text('{"step": 3, "event": "train", "images_per_second": 8.0}\n')

    seconds = estimates(runs, tmp_path / 'speeds.json', probe)
    assert seconds[runs[0].key] == 2 * seconds[runs[2].key] > 0


@pytest.mark.parametrize('visible, count, devices', [
    (None, 2, ['0', '1']), ('3, 1', 2, ['3', '1']), ('2', 1, ['2']), ('GPU-5a1,GPU-9c4', 2, ['GPU-5a1', 'GPU-9c4']),
    ('1,7', 1, ['1']), ('', 0, []), ('-1', 0, []), (None, 0, []),
])
def test_devices_are_the_visible_gpus(monkeypatch, visible, count, devices):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    assert runner.devices() == ([{'CUDA_VISIBLE_DEVICES': device} for device in devices] or [{}])
