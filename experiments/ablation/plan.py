"""An ablation from its plan to its figures: runs that are queued over the devices, finished ones taken from where they lie, then
the protocol on each.

    RUNS/speeds.json      images per second of what was measured for estimates
    RUNS/KEY/             a run folder, KEY the hash of its config, the code and the data
    RUNS/KEY/finished.json    seconds and steps, once it is done
    RUNS/KEY/failure.txt      the reason, where it failed
"""
import hashlib
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
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from configs.ablation import RECOGNIZER, AblationConfig, Change, overrides
from configs.resolve import PRESETS, checked, dump
from configs.schema import RunConfig
from experiments.training.errors import RunError
from experiments.training.interruption import Interruption
from experiments.training.journal import ROOT, code_hash, read_journal
from experiments.training.settings import started
from models.base import FamilyConfig
from models.batch import FaceBatch
from models.files import write_bytes
from models.perception.encoders.family import RecognizerConfig
from models.registry import family_types
from models.strict_json import json_text

SAMPLING = 'sampling'  # section of a family's config that says how a trained network is used
_POLL = 0.5  # seconds from one look at the signals to the next
_STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)  # codes of a process that was asked to stop
_PROBE_STEPS = 6  # of the run that an estimate is made from


@dataclass(frozen=True)
class Run:
    """A row of the plan. key: hash of the training's config, of code and data; folder: where the training lies, which runs that
    differ in SAMPLING alone share."""

    variant: str
    seed: int
    config: RunConfig
    key: str
    folder: Path

    @property
    def training(self) -> RunConfig:
        """The config without how the network is used afterwards."""
        model = dict(self.config.model)
        if SAMPLING in model:
            model[SAMPLING] = family_types(self.config.family)[1]().model_dump()[SAMPLING]
        return self.config.model_copy(update={'model': model})

    @property
    def finished(self) -> bool:
        return (self.folder / 'finished.json').is_file()

    @property
    def failure(self) -> str | None:
        """Why it failed, or None."""
        path = self.folder / 'failure.txt'
        return path.read_text(encoding='utf-8') if path.is_file() and not self.finished else None

    @property
    def seconds(self) -> float | None:
        """How long the training took, once it is finished."""
        return json.loads((self.folder / 'finished.json').read_text())['seconds'] if self.finished else None

    @property
    def state(self) -> str:
        return 'finished' if self.finished else 'failed' if self.failure else 'begun' if self.begun else 'to do'

    @property
    def begun(self) -> bool:
        return (self.folder / 'config.yaml').is_file()


# Trains a run, going on with it where it was begun. The environment says on which device; the function, whether to stop. RunError
# where it fails, Stopped where it was stopped.
Train = Callable[[Run, dict[str, str], Callable[[], bool]], None]


class Stopped(RunError):
    """A signal asked to stop; what was begun is saved."""


def plan(ablation: AblationConfig, runs: Path) -> list[Run]:
    """All runs, variant by variant. Two variants with one config share a folder. ValueError names what does not fit."""
    code, known, found = code_hash(), {}, []
    for name, change in ablation.expanded().items():
        for seed in ablation.seeds:
            try:
                config = _resolved(change, {} if name == ablation.base_name else ablation.base.settings, seed)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            data = (config.data.name, config.data.root)
            if data not in known:
                known[data] = data_state(config.data.root)
            run = Run(name, seed, config, '', runs)
            text = '\n'.join([dump(run.training), code, known[data]])
            key = hashlib.sha256(text.encode()).hexdigest()[:16]
            found.append(replace(run, key=key, folder=runs / key))
    return found


def _resolved(change: Change, base: dict, seed: int) -> RunConfig:
    """base: the settings that the change has from the base; there a variant may leave some without effect."""
    family = change.family
    inherited = change.model_copy(update={'settings': {key: value for key, value in change.settings.items()
                                                       if key in base and base[key] == value}})
    preset = change.preset or (family if (PRESETS / f'{family}.yaml').is_file() else None)
    schema = schema_of(family)
    config = started(family, schema, FaceBatch if family == RECOGNIZER else family_types(family)[0].batch, preset,
                     [*overrides(change), {'engine': {'seed': seed}}], inherited=overrides(inherited))
    return config.model_copy(update={'model': checked(schema, config.model).model_dump()})


def schema_of(family: str) -> type[FamilyConfig]:
    """The config class of a family of the registry, or of RECOGNIZER."""
    return RecognizerConfig if family == RECOGNIZER else family_types(family)[1]


def data_state(root: str | None) -> str:
    """A hash of names and sizes of all files below a folder; drawn data are part of the code."""
    if root is None:
        return 'drawn'
    files = [path for path in Path(root).rglob('*') if path.is_file()]
    sizes = sorted(f'{path.relative_to(root).as_posix()} {path.stat().st_size}' for path in files)
    return hashlib.sha256('\n'.join(sizes).encode()).hexdigest()


def devices() -> list[dict[str, str]]:
    """The environment of each place where a run can train: every GPU that CUDA_VISIBLE_DEVICES leaves, or this machine."""
    visible = [name.strip() for name in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if name.strip()]
    count = torch.cuda.device_count()
    return [{'CUDA_VISIBLE_DEVICES': name} for name in (visible or map(str, range(count)))][:count] or [{}]


def train_by_script(run: Run, environment: dict[str, str], stopping: Callable[[], bool]) -> None:
    """scripts/train.py, or train_identity.py, in a process of its own, which saves itself when it has to stop."""
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    preset = run.folder.with_suffix('.yaml')
    write_bytes(preset, dump(run.training).encode())
    script, family = ('train_identity.py', []) if run.config.family == RECOGNIZER else (
        'train.py', ['--family', run.config.family])
    given = ['--resume', str(run.folder)] if run.begun else [*family, '--preset', str(preset), '--out', str(run.folder)]
    process = subprocess.Popen([sys.executable, str(ROOT / 'scripts' / script), *given], env={**os.environ, **environment},
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told, said = False, None
    while said is None:
        try:
            said = [line for line in process.communicate(timeout=_POLL)[1].splitlines() if line.strip()]
        except subprocess.TimeoutExpired:
            if stopping() and not told:
                process.terminate()
                told = True
    if told or process.returncode in _STOPPED:
        raise Stopped(said[-1] if said else 'the training was stopped')
    if process.returncode:
        raise RunError(said[-1] if said else f'{script} ended with the code {process.returncode} and said nothing')


def train_all(runs: list[Run], train: Train = train_by_script, places: list[dict[str, str]] | None = None, *,
              say: Callable[[str], None] = lambda line: None) -> None:
    """Train what is not finished, as many at a time as there are places. A failure is written down and leaves the others alone; a
    signal stops them all, and Stopped is raised."""
    todo = list({run.key: run for run in runs if not run.finished}.values())
    free: queue.Queue = queue.Queue()
    for place in devices() if places is None else places:
        free.put(place)
    stop, interruption = threading.Event(), Interruption()

    def stopping() -> bool:
        return stop.is_set() or interruption.signal is not None

    def one(number: int, run: Run) -> None:
        place = free.get()
        try:
            if not stopping():
                say(f'{number}/{len(todo)} {run.variant}, seed {run.seed}: {run.folder}')
                _attempt(run, train, place, stopping)
                if run.failure:
                    say(f'{run.variant}, seed {run.seed} failed: {run.failure}')
        except Stopped:
            stop.set()
            raise
        finally:
            free.put(place)

    with interruption, ThreadPoolExecutor(free.qsize()) as pool:
        for attempt in [pool.submit(one, number, run) for number, run in enumerate(todo, 1)]:
            attempt.result()
    if stopping():
        raise Stopped('stopped by a signal; what was begun is saved')


def _attempt(run: Run, train: Train, place: dict[str, str], stopping: Callable[[], bool]) -> None:
    began = time.monotonic()
    try:
        train(run, place, stopping)
    except Stopped:
        raise
    except (RunError, ValueError, OSError) as error:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(run.folder / 'failure.txt', str(error).encode())
        return
    figures = {'seconds': time.monotonic() - began, 'steps': run.config.engine.steps, 'variant': run.variant, 'seed': run.seed}
    write_bytes(run.folder / 'finished.json', json_text(figures).encode())


def estimates(runs: list[Run], memory: Path, train: Train | None = None) -> dict[str, float]:
    """Seconds that each unfinished run will take, by its key, from the speed of finished ones that cost the same or of earlier
    estimates; those whose speed is unknown are absent. With `train`, unknown speeds are measured on a few training steps.
    memory: the JSON file that keeps measured speeds, in images per second, for later estimates on this machine."""
    measured = json.loads(memory.read_text(encoding='utf-8')) if memory.is_file() else {}
    speeds = measured | {_costs(run): speed for run in runs if run.finished and (speed := _speed(run))}
    found = {}
    for run in runs:
        if run.finished or run.key in found:
            continue
        kind = _costs(run)
        if kind not in speeds and train:
            speeds[kind] = _measured(run, train)
            measured |= {kind: speeds[kind]} if speeds[kind] else {}
            write_bytes(memory, json.dumps(measured, indent=1).encode())
        if speeds.get(kind):
            engine, data = run.config.engine, run.config.data
            images = data.batch * (2 if data.balanced else 1)  # of a step: a couple is two
            found[run.key] = engine.steps * engine.accumulate * images * engine.devices / speeds[kind]
    return found


def _measured(run: Run, train: Train) -> float | None:
    """Images per second of a few training steps; None where they fail."""
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
    """What the time of a step depends on, the machine included."""
    model = {key: value for key, value in run.config.model.items() if key != 'weights'}
    engine, data = run.config.engine, run.config.data
    return json.dumps([platform.node(), run.config.family, model, data.batch, data.balanced, engine.precision, engine.compile,
                       engine.channels_last])


def _speed(run: Run) -> float | None:
    """Images per second of the last line of the journal that tells."""
    rates = [line['images_per_second'] for line in read_journal(run.folder) if 'images_per_second' in line]
    return rates[-1] if rates else None
