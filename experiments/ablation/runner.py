"""Training of the planned runs of an ablation on all devices, and estimates of its duration."""
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from configs.resolve import dump
from experiments.ablation.plan import Run
from experiments.training.errors import RunError
from experiments.training.interruption import Interruption
from experiments.training.logging.journal import ROOT, read_journal
from models.storage.files import write_bytes
from models.storage.strict_json import json_text

_POLL_SECONDS = 0.5  # between checks for signals
_STOPPED_CODES = (130, 143, -signal.SIGINT, -signal.SIGTERM)  # exit codes of an interrupted process
_PROBE_STEPS = 6  # training steps of a speed measurement

# Function that trains or resumes a run. Arguments: the run, environment variables that select the device, and a function that
# returns whether to stop. Raises RunError for a failed run and Stopped for an interrupted one.
Train = Callable[[Run, dict[str, str], Callable[[], bool]], None]


class Stopped(RunError):
    """Raised where a signal stopped the training; a checkpoint is saved."""


def devices() -> list[dict[str, str]]:
    """Environment variables of each training device: every visible GPU, or one empty dict for the CPU."""
    visible = [name.strip() for name in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if name.strip()]
    count = torch.cuda.device_count()
    return [{'CUDA_VISIBLE_DEVICES': name} for name in (visible or map(str, range(count)))][:count] or [{}]


def train_by_script(run: Run, environment: dict[str, str], stopping: Callable[[], bool]) -> None:
    """Train a run by scripts/train.py in a subprocess, which saves a checkpoint when it is terminated."""
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    preset = run.folder.with_suffix('.yaml')
    write_bytes(preset, dump(run.training).encode())
    arguments = ['--resume', str(run.folder)] if run.begun else [
        '--family', run.config.family, '--preset', str(preset), '--out', str(run.folder)]
    process = subprocess.Popen([sys.executable, str(ROOT / 'scripts' / 'train.py'), *arguments],
                               env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    terminated, messages = False, None
    while messages is None:
        try:
            messages = [line for line in process.communicate(timeout=_POLL_SECONDS)[1].splitlines() if line.strip()]
        except subprocess.TimeoutExpired:
            if stopping() and not terminated:
                process.terminate()
                terminated = True
    if terminated or process.returncode in _STOPPED_CODES:
        raise Stopped(messages[-1] if messages else 'the training was stopped')
    if process.returncode:
        raise RunError(messages[-1] if messages else f'train.py ended with exit code {process.returncode} and no message')


def train_all(runs: list[Run], train: Train = train_by_script, environments: list[dict[str, str]] | None = None, *,
              log: Callable[[str], None] = lambda line: None) -> None:
    """Train all unfinished runs, one at a time on each device.

    A failure is recorded in failure.txt and the other runs continue.

    Args:
        environments: environment variables that select each device; None for those of `devices`.
        log: called with lines of progress.

    Raises:
        Stopped: a signal stopped the training of all runs.
    """
    unfinished = list({run.key: run for run in runs if not run.finished}.values())
    idle: queue.Queue[dict[str, str]] = queue.Queue()  # environment variables of idle devices
    for environment in devices() if environments is None else environments:
        idle.put(environment)
    stop, interruption = threading.Event(), Interruption()

    def stopping() -> bool:
        return stop.is_set() or interruption.signal is not None

    def train_one(number: int, run: Run) -> None:
        environment = idle.get()
        try:
            if not stopping():
                log(f'{number}/{len(unfinished)} {run.variant}, seed {run.seed}: {run.folder}')
                _attempt(run, train, environment, stopping)
                if run.failure:
                    log(f'{run.variant}, seed {run.seed} failed: {run.failure}')
        except Stopped:
            stop.set()
            raise
        finally:
            idle.put(environment)

    with interruption, ThreadPoolExecutor(idle.qsize()) as pool:
        for future in [pool.submit(train_one, number, run) for number, run in enumerate(unfinished, 1)]:
            future.result()
    if stopping():
        raise Stopped('stopped by a signal; checkpoints of the runs in progress are saved')


def _attempt(run: Run, train: Train, environment: dict[str, str], stopping: Callable[[], bool]) -> None:
    """Train a run and write finished.json or failure.txt."""
    start = time.monotonic()
    try:
        train(run, environment, stopping)
    except Stopped:
        raise
    except (RunError, ValueError, OSError) as error:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(run.folder / 'failure.txt', str(error).encode())
        return
    figures = {'seconds': time.monotonic() - start, 'steps': run.config.engine.steps, 'variant': run.variant, 'seed': run.seed}
    write_bytes(run.folder / 'finished.json', json_text(figures).encode())


def estimates(runs: list[Run], cache: Path, train: Train | None = None) -> dict[str, float]:
    """Estimated seconds of unfinished runs by their keys, from the speed of runs of equal cost per step.

    Args:
        cache: JSON file of measured speeds in images per second.
        train: function that measures speeds that are not stored, by a few training steps; None to leave out such runs.
    """
    measured = json.loads(cache.read_text(encoding='utf-8')) if cache.is_file() else {}
    speeds: dict[str, float | None] = measured | {_costs(run): speed for run in runs if run.finished and (speed := _speed(run))}
    seconds = {}
    for run in runs:
        if run.finished or run.key in seconds:
            continue
        cost_key = _costs(run)
        if cost_key not in speeds and train:
            speeds[cost_key] = _probe(run, train)
            measured |= {cost_key: speeds[cost_key]} if speeds[cost_key] else {}
            write_bytes(cache, json.dumps(measured, indent=1).encode())
        if speed := speeds.get(cost_key):
            engine, images = run.config.engine, run.config.data.images_per_batch
            seconds[run.key] = engine.steps * engine.accumulate * images * engine.devices / speed
    return seconds


def _probe(run: Run, train: Train) -> float | None:
    """Images per second of a few training steps; None for a run that fails."""
    engine = run.config.engine.model_copy(update={'steps': _PROBE_STEPS, 'log_every': _PROBE_STEPS // 2})
    config = run.config.model_copy(update={'engine': engine})
    with tempfile.TemporaryDirectory() as scratch:
        probe = Run(run.variant, run.seed, config, run.key, Path(scratch) / run.key)
        try:
            train(probe, {}, lambda: False)
        except RunError:
            return None
        return _speed(probe)


def _costs(run: Run) -> str:
    """JSON text of all values that the duration of a training step depends on, including the host."""
    model = {key: value for key, value in run.config.model.items() if key != 'weights'}
    engine, data = run.config.engine, run.config.data
    return json.dumps([platform.node(), run.config.family, model, data.batch, data.images_per_batch, engine.precision,
                       engine.compile, engine.channels_last])


def _speed(run: Run) -> float | None:
    """Last `images_per_second` of the journal; None without one."""
    rates = [line['images_per_second'] for line in read_journal(run.folder) if 'images_per_second' in line]
    return rates[-1] if rates else None
