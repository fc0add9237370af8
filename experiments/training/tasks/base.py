"""The parts of a training that depend on the task, and their registry, imported lazily."""
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from configs.schema import RunConfig
from datasets.base import SizedDataset
from experiments.training.engine import Engine
from models.base import Family, FamilyConfig, Perception, Task
from models.perception.build import build_perception


@dataclass(frozen=True)
class Samples:
    """Data sets of a run.

    model: config of the family with the settings that the data and the initial weights determine; train: training samples, for
    datasets.loaders.build_loader; validation: samples of the fixed validation batches, None for none; identities: names of the
    training identities, including those of the initial weights, where the task lists them.
    """

    model: FamilyConfig
    train: SizedDataset
    validation: SizedDataset | None
    identities: tuple[str, ...] = ()


def all_networks(config: RunConfig, model: FamilyConfig) -> Perception | None:
    """The frozen networks of the section `perception`."""
    return build_perception(**dict(config.perception))


def no_networks(config: RunConfig, model: FamilyConfig) -> None:
    """No frozen networks."""


def _nothing(family: Family) -> None:
    """Keep the random initial weights."""


def _no_notes(folder: Path, samples: Samples) -> None:
    """Write nothing before the first step."""


def _family_file(engine: Engine) -> Path:
    return engine.folder / 'family.safetensors'


def _file_name(config: RunConfig, file: Path) -> str:
    return str(file)


@dataclass(frozen=True)
class TrainingTask:
    """The parts of a training that depend on the task.

    samples: (config of the run, config of the family, whether the run is resumed) -> Samples; ValueError where the data do not
    fit. perception: (config of the run, config of the family) -> the frozen networks, None for none. initialize: loads the
    initial weights that the config of the family names. begin: writes into the run folder before the first step, in the first
    process. export: writes the files that a trained run is used by, and returns the main one. report: (config of the run, that
    file) -> text that is printed after training.
    """

    samples: Callable[[RunConfig, FamilyConfig, bool], Samples]
    perception: Callable[[RunConfig, FamilyConfig], Perception | None] = all_networks
    initialize: Callable[[Family], None] = _nothing
    begin: Callable[[Path, Samples], None] = _no_notes
    export: Callable[[Engine], Path] = _family_file
    report: Callable[[RunConfig, Path], str] = _file_name


# task -> module whose TASK is its TrainingTask
MODULES: dict[Task, str] = {
    'swap': 'experiments.training.tasks.swap',
    'translate': 'experiments.training.tasks.translate',
    'identity': 'experiments.training.tasks.identity',
    'parsing': 'experiments.training.tasks.parsing',
    'causes': 'experiments.training.tasks.causes',
}


def load_task(name: Task) -> TrainingTask:
    """The TrainingTask of a task."""
    return importlib.import_module(MODULES[name]).TASK


def report_device(config: RunConfig) -> str:
    """The device that a trained network is measured on."""
    return 'cuda' if torch.cuda.is_available() and config.engine.accelerator != 'cpu' else 'cpu'
