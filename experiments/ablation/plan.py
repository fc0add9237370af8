"""Plan of an ablation: its runs, each identified by the hash of its config, the code and the data.

    RUNS/speeds.json      measured images per second, for estimates
    RUNS/KEY/             a run folder, KEY the hash of its config, the code and the data
    RUNS/KEY/finished.json    duration in seconds and steps of a finished run
    RUNS/KEY/failure.txt      the reason of a failed run
"""
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from configs.ablation import AblationConfig, Change, overrides
from configs.data import NamedData
from configs.resolve import PRESETS, checked, dump
from configs.schema import RunConfig
from experiments.training.launch.settings import started
from experiments.training.logging.journal import code_hash
from models.registry import family_entry, family_types

SAMPLING = 'sampling'  # section of a family's config that does not affect training
COMPARED_TASKS = ('swap', 'translate', 'identity')


@dataclass(frozen=True)
class Run:
    """A run of the plan."""

    variant: str
    seed: int
    config: RunConfig
    key: str      # hash of its training config, the code and the data
    folder: Path  # shared by runs that differ in SAMPLING only

    @property
    def training(self) -> RunConfig:
        """The config with default SAMPLING, which identifies the training."""
        model = dict(self.config.model)
        if SAMPLING in model:
            model[SAMPLING] = family_types(self.config.family)[1]().model_dump()[SAMPLING]
        return self.config.model_copy(update={'model': model})

    @property
    def finished(self) -> bool:
        """Whether the training is complete."""
        return (self.folder / 'finished.json').is_file()

    @property
    def failure(self) -> str | None:
        """Reason of a failed run, else None."""
        path = self.folder / 'failure.txt'
        return path.read_text(encoding='utf-8') if path.is_file() and not self.finished else None

    @property
    def seconds(self) -> float | None:
        """Duration of the training of a finished run, else None."""
        return json.loads((self.folder / 'finished.json').read_text())['seconds'] if self.finished else None

    @property
    def state(self) -> str:
        """finished, failed, begun, or to do."""
        return 'finished' if self.finished else 'failed' if self.failure else 'begun' if self.begun else 'to do'

    @property
    def begun(self) -> bool:
        """Whether the run folder has a config, so that the training can be resumed."""
        return (self.folder / 'config.yaml').is_file()


def plan(ablation: AblationConfig, runs: Path) -> list[Run]:
    """All runs, variant by variant. Variants with equal configs share a folder. Raises ValueError for an invalid config."""
    code, runs_of_plan = code_hash(), []
    data_hashes: dict[str | None, str] = {}
    changes = ablation.expanded()
    _check_tasks(ablation, changes)
    for name, change in changes.items():
        for seed in ablation.seeds:
            try:
                config = _resolved(change, {} if name == ablation.base_name else ablation.base.settings, seed)
            except ValueError as error:
                raise ValueError(f'{name}: {error}') from error
            root = config.data.root if isinstance(config.data, NamedData) else None
            if root not in data_hashes:
                data_hashes[root] = data_state(root)
            run = Run(name, seed, config, '', runs)
            text = '\n'.join([dump(run.training), code, data_hashes[root]])
            key = hashlib.sha256(text.encode()).hexdigest()[:16]
            runs_of_plan.append(replace(run, key=key, folder=runs / key))
    return runs_of_plan


def _resolved(change: Change, base: dict[str, Any], seed: int) -> RunConfig:
    """Config of a variant. base: settings of the base run, which the variant inherits; they may have no effect on the variant."""
    family = change.family
    assert family is not None  # AblationConfig.expanded fills it
    inherited = change.model_copy(update={'settings': {key: value for key, value in change.settings.items()
                                                       if key in base and base[key] == value}})
    preset = change.preset or (family if (PRESETS / f'{family}.yaml').is_file() else None)
    config = started(family, preset, [*overrides(change), {'engine': {'seed': seed}}], inherited=overrides(inherited))
    return config.model_copy(update={'model': checked(family_types(family)[1], config.model, 'model.').model_dump()})


def _check_tasks(ablation: AblationConfig, changes: dict[str, Change]) -> None:
    """Raises ValueError for families whose runs are not compared with each other."""
    tasks = {name: family_entry(change.family or ablation.base.family).task for name, change in changes.items()}
    for name, task in tasks.items():
        if task not in COMPARED_TASKS:
            raise ValueError(f'{name}: runs of the family {changes[name].family} are not compared; give a family that swaps or '
                             'translates faces, or recognizer')
        if (task == 'identity') != (tasks[ablation.base_name] == 'identity'):
            raise ValueError(f'{name} and the base are an identity encoder and a family of images, which are not comparable')


def data_state(root: str | None) -> str:
    """Hash of names and sizes of all files below a folder; a constant for rendered data, which depend on the code only."""
    if root is None:
        return 'drawn'  # part of the keys of runs
    files = [path for path in Path(root).rglob('*') if path.is_file()]
    sizes = sorted(f'{path.relative_to(root).as_posix()} {path.stat().st_size}' for path in files)
    return hashlib.sha256('\n'.join(sizes).encode()).hexdigest()
