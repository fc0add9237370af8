"""From a config to a training that is ready to run."""
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from configs.resolve import checked
from configs.schema import RunConfig
from datasets.loaders import build_loader
from experiments.training.devices.fabric import build_fabric
from experiments.training.engine import Engine
from experiments.training.tasks.base import Samples, TrainingTask, load_task
from models.base import FamilyConfig
from models.registry import family_entry, load_weights
from models.storage.files import check_writable


@dataclass(frozen=True)
class Training:
    """An engine with the parts of its task."""

    engine: Engine
    task: TrainingTask
    samples: Samples

    def begin(self) -> None:
        """Check that the run folder is writable, and write the files that the task needs before the first step, in the first
        process. With several processes, the folder is checked at its first use, where a failure ends all processes."""
        if self.engine.fabric.world_size == 1:
            check_writable(self.engine.folder / 'config.yaml')
        if self.engine.fabric.is_global_zero:
            self.task.begin(self.engine.folder, self.samples)

    def finish(self) -> None:
        """Export the trained network, measure it and print the figures."""
        print(self.task.report(self.engine.config, self.task.export(self.engine)))


def build_training(config: RunConfig, folder: Path, *, resume: bool = False, init: Path | None = None,
                   fixed: Collection[str] = ()) -> Training:
    """Build the data sets, the family and the engine of a run. Nothing is written.

    Args:
        config: the resolved config.
        folder: the run folder.
        resume: whether to load the newest checkpoint of the folder.
        init: a family.safetensors with the initial weights.
        fixed: settings of the model, without `model.`, that may not differ in the initial weights or the data.

    Raises:
        ValueError, OSError, models.weights.WeightsError, RunError: something does not fit or is missing; one sentence.
    """
    entry = family_entry(config.family)
    family_type, schema = entry.load()
    task, seed, data = load_task(entry.task), config.engine.seed, config.data
    model = checked(schema, config.model, 'model.')
    samples = load_task(entry.data_task).samples(config, model, resume)
    _check_fixed(model, samples.model, fixed)
    if samples.model is not model:
        config = config.model_copy(update={'model': samples.model.model_dump()})
    fabric = build_fabric(config.engine)
    torch.manual_seed(seed)
    family = family_type(samples.model, task.perception(config, samples.model))
    if not resume:
        task.initialize(family)
    if init:
        load_weights(family, init)
    loader = build_loader(samples.train, data.batch, seed=seed, workers=data.workers, rank=fabric.global_rank,
                          world_size=fabric.world_size)
    validation = [] if samples.validation is None else list(
        islice(build_loader(samples.validation, data.batch, seed=seed, shuffle=False), data.validation_batches))
    engine = Engine(config, family, loader, fabric=fabric, folder=fabric.broadcast(folder), validation=validation)
    if resume:
        engine.resume()
    return Training(engine, task, samples)


def _check_fixed(before: FamilyConfig, after: FamilyConfig, fixed: Collection[str]) -> None:
    """ValueError where a fixed setting was replaced."""
    for name in fixed:
        old, new = getattr(before, name, None), getattr(after, name, None)
        if old != new:
            raise ValueError(f'model.{name}={old} does not fit the initial weights or the data, which have {new}; remove it')
