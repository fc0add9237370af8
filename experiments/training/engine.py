"""The training loop, on Lightning Fabric: one process on a laptop or many over several nodes."""
import operator
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from configs.reading import shown
from configs.resolve import dump
from configs.schema import RunConfig
from experiments.training import rng as randomness
from experiments.training.checkpoint import Checkpoints, family_bytes, read_checkpoint
from experiments.training.errors import Interrupted, RunError, explain_out_of_memory
from experiments.training.interruption import Interruption
from experiments.training.logging.journal import Journal
from experiments.training.logging.meters import MeanMeter
from experiments.training.logging.monitor import TrainingMonitor
from experiments.training.logging.progress import ProgressBar
from experiments.training.optimization.ema import EMA
from experiments.training.optimization.lr_schedule import learning_rate
from experiments.training.optimization.optimizers import OptimizerGroup, build_optimizer_groups, set_trainable_group
from experiments.training.optimization.weighting import LossWeighting
from experiments.training.processes import gather, run_on_first
from models.base import Family
from models.runtime.cpu_kernels import use_cpu_kernels
from models.storage.files import write_bytes

UNUSED_LOSS_STEPS = 32  # after so many steps, a weighted loss that no parameter group has returned is an error


class MicroBatch:
    """A batch and the cache that its parameter groups share in one step. Fabric and DDP pass this plain object on as it is; they
    would rebuild a dict, and cannot rebuild a frozen dataclass."""

    def __init__(self, batch):
        self.batch, self.cache = batch, {}


class LossModule(nn.Module):
    """Family.forward as the module that Fabric and DDP wrap."""

    def __init__(self, family: Family):
        super().__init__()
        self.family = family

    def forward(self, group: str, micro_batch: MicroBatch, step: int) -> dict[str, Tensor]:
        return self.family(group, micro_batch.batch, step, micro_batch.cache)


class Engine:
    """Trains a family and fills a run folder.

    loader: endless, with a batch_sampler whose state_dict counts the batches handed out; an item has to be a function of its key
    alone. validation: a few fixed batches. Every weighted loss is returned by some parameter group within the first 32 steps, and
    by one parameter group only. `step` counts finished updates. Raises RunError where settings, data or the machine are at fault.
    """

    def __init__(self, config: RunConfig, family: Family, loader: DataLoader, *, fabric: Fabric, folder: str | Path,
                 validation: Sequence = ()):
        self.config, self.family, self.loader, self.fabric = config, family, loader, fabric
        self.folder, engine = Path(folder), config.engine
        self.checkpoints = Checkpoints(self.folder / 'checkpoints', engine.keep, engine.best, engine.best_is,
                                       config.family)
        if engine.best and not validation:
            raise RunError(f'engine.best={engine.best} needs validation images; set data.validation_batches above 0')
        randomness.seed_all(engine.seed, fabric.global_rank)
        family.train()
        if engine.cpu_kernels and (fabric.device.type != 'cpu' or not sum(map(use_cpu_kernels, family.ema_modules().values()))):
            raise RunError(f'engine.cpu_kernels=true has no effect on {config.family} on {fabric.device.type}; leave it away')
        if engine.channels_last:
            family.to(memory_format=torch.channels_last)
            if family.perception is not None:
                family.perception.to(memory_format=torch.channels_last)
        if engine.compile:
            family.compile(dynamic=False)
        self.param_groups = build_optimizer_groups(family, config.param_groups)
        with explain_out_of_memory(self.less_memory):
            self.validation = [self._placed(batch) for batch in validation]
            if family.perception is not None:
                family.perception.to(fabric.device)
            self.module, *optimizers = fabric.setup(LossModule(family), *(group.optimizer for group in self.param_groups))
            self.ema = EMA(family, family.ema_modules(), engine.ema, round(engine.ema_from * engine.steps))
        for group, optimizer in zip(self.param_groups, optimizers):
            group.optimizer = optimizer
        self.meter, self.figures = MeanMeter(), MeanMeter()  # of losses; of notes and gradients
        self.watch = TrainingMonitor()
        self.step = 0
        self.weighting = LossWeighting(family.config.weights)
        self._resumed = False
        self._validated = -1  # the step of the last validation; its figures are known to the first process
        self._figures: dict[str, float] = {}

    def _run_on_first(self, work: Callable[[], None]) -> None:
        run_on_first(self.fabric, work, self.folder, self.checkpoints.standing)

    # -- The loop ---------------------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the last step. Raises Interrupted, after saving, where a signal asked to stop."""
        self._run_on_first(self._open)
        every, steps = self.config.engine, self.config.engine.steps
        self.progress_bar = ProgressBar(self.step, steps, self.fabric.is_global_zero)
        began, seen = time.monotonic(), 0
        try:
            with Interruption() as interruption, explain_out_of_memory(self.less_memory):
                stream = self.micro_batches()
                while self.step < steps:
                    batches = next(stream)
                    seen += self.update(batches)
                    last = self.step == steps
                    log, save = last or self.step % every.log_every == 0, last or self.step % every.checkpoint_every == 0
                    stop = self._settle(interruption, log or save)
                    if not self._resumed and self.step == min(UNUSED_LOSS_STEPS, steps):
                        self.weighting.check_all_used()
                    if log:
                        self._log(seen / (time.monotonic() - began))
                        began, seen = time.monotonic(), 0
                    if self.validation and (last or self.step % every.validate_every == 0):
                        self._validate()
                    if last or self.step % every.image_every == 0:
                        self._run_on_first(partial(self._save_panel, batches[0].batch))
                    if save or stop:
                        self._save()
                    if stop and not last:
                        raise Interrupted(f'stopped by {signal.Signals(stop).name} at step {self.step} of {steps} and saved; '
                                          f'go on with --resume {self.folder}', stop)
                    self.progress_bar.step(self.step)
        finally:
            self.progress_bar.close()
            if self.fabric.is_global_zero:
                self.journal.close()
            self.module = None  # DDP would keep the process group alive after destroy_process_group

    def micro_batches(self) -> Iterator[list[MicroBatch]]:
        """The endless micro-batches of each step, on the device."""
        stream = map(self._placed, self.loader)
        while True:
            yield [MicroBatch(next(stream)) for _ in range(self.config.engine.accumulate)]

    def update(self, batches: list[MicroBatch]) -> int:
        """One step: an update of every parameter group that is due. Returns the number of images of all processes."""
        for group in self.param_groups:
            if self.step % group.config.every == 0:
                self._update(group, batches)
        self.ema.update(self.step)
        self.step += 1
        return sum(len(each.batch) for each in batches) * self.fabric.world_size

    def _update(self, group: OptimizerGroup, batches: list[MicroBatch]) -> None:
        """One update of one parameter group over all micro-batches."""
        engine = self.config.engine
        set_trainable_group(self.param_groups, group)
        group.set_lr(learning_rate(group.config, self.step, engine.steps))
        group.optimizer.zero_grad(set_to_none=True)
        for number, batch in enumerate(batches, 1):
            with self.fabric.no_backward_sync(self.module, enabled=number < len(batches)):
                losses = self.module(group.name, batch, self.step)
                self.fabric.backward(self.weighting(group.name, losses) / len(batches))
            self.meter.add(self.step + 1, losses)
            self.figures.add(self.step + 1, {f'metrics/{name}': value for name, value in self.family.pop_metrics().items()})
        length = self.fabric.clip_gradients(self.module, group.optimizer, max_norm=engine.clip or float('inf'),
                                            error_if_nonfinite=False)
        self.figures.add(self.step + 1, {f'grad_norm/{group.name}': length})
        group.optimizer.step()
        self.family.after_update(group.name)

    def _settle(self, interruption: Interruption, due: bool) -> int | None:
        """Agree among all processes on whether all is well and whether to stop; returns the signal that asks for it.

        On the CPU this happens at each step; elsewhere, as looking at a loss makes the device wait, only when a log or a
        checkpoint is due, or when the only process was asked to stop.
        """
        alone = self.fabric.world_size == 1
        if not (due or self.fabric.device.type == 'cpu' or (alone and interruption.signal)):
            return None
        verdicts = gather(self.fabric, (self.meter.bad(), interruption.signal))
        bad = min((found for found, _ in verdicts if found), default=None)
        if bad:
            raise RunError(f'the loss {bad[1]!r} was not finite at step {bad[0]}; lower the learning rate or its weight, '
                           f'then resume: {self.checkpoints.standing()}')
        return next((number for _, number in verdicts if number), None)

    def less_memory(self) -> str:
        """What to set where the memory is not enough."""
        engine, batch = self.config.engine, self.config.data.batch
        ways = [f'data.batch below {batch}, with engine.accumulate higher by as much'] * (batch > 1)
        ways += ['engine.precision=bf16-mixed'] * (engine.precision == '32-true')
        return f'set {" or ".join([*ways, "a smaller model"])}; {self.checkpoints.standing()}'

    # -- Data -------------------------------------------------------------------------------------------------------------

    def _placed(self, batch):
        """The batch on this process's device and in its memory format."""
        batch = batch.to(self.fabric.device)
        if not self.config.engine.channels_last:
            return batch
        return batch.map(lambda value: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value)

    # -- Logging ---------------------------------------------------------------------------------------------------------

    def _log(self, speed: float) -> None:
        """Write the mean losses of all processes since the last log; speed in images per second."""
        losses, figures = self._means(self.meter), self._means(self.figures)
        rates = {f'lr/{group.name}': group.optimizer.param_groups[0]['lr'] for group in self.param_groups}
        line = {**{f'train/{name}': value for name, value in losses.items()}, **figures, **rates, 'images_per_second': speed}
        self._run_on_first(lambda: self.journal.write(self.step, 'train', line))
        seen = {name.removeprefix('metrics/'): value for name, value in figures.items() if name.startswith('metrics/')}
        self.progress_bar.show(self.step, {**losses, **seen}, speed)
        for warning in self.watch.warnings(self.step, seen):
            self.progress_bar.print(f'warning: {warning}')

    def _means(self, meter: MeanMeter) -> dict[str, float]:
        """Means over all processes."""
        parts = gather(self.fabric, meter.means())
        return {name: fmean(part[name] for part in parts if name in part) for name in parts[0]}

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Context with EMA weights, eval mode, no gradient and a fixed random state; restores all of them on exit."""
        self.family.eval()
        try:
            with self.ema.applied(), torch.no_grad(), randomness.apart(self.config.engine.seed):
                yield
        finally:
            self.family.train()

    def _validate(self) -> None:
        """Mean losses of the EMA weights over the validation batches."""
        def measure() -> None:
            meter = MeanMeter()
            with self._shown():
                for batch in self.validation:
                    cache = {}
                    for group in self.param_groups:
                        losses = self.family(group.name, batch, self.step, cache)
                        meter.add(self.step, {**losses, **self.family.pop_metrics()})
            figures = {f'validation/{name}': value for name, value in meter.means().items()}
            if self.config.engine.best and self.config.engine.best not in figures:
                raise RunError(f'engine.best={self.config.engine.best} is not measured; there are: {", ".join(figures)}')
            self._figures = figures
            self.journal.write(self.step, 'validation', figures)

        self._run_on_first(measure)
        self._validated = self.step

    def _save_panel(self, batch) -> None:
        """Save the panel of the first validation batch, or of the given one."""
        with self._shown():
            path = self.journal.images(self.step, self.family.panel(self.validation[0] if self.validation else batch))
        self.progress_bar.print(f'images: {path}')

    # -- The run folder -----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Prepare the run folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / 'config.yaml', dump(self.config).encode())
        self.journal = Journal(self.folder, self.step)

    def _save(self) -> None:
        """Write a checkpoint and the run's family.safetensors."""
        if self.config.engine.best and self._validated != self.step:
            self._validate()
        rng_states, extra_states = gather(self.fabric, randomness.capture()), gather(self.fabric, self.family.extra_state())

        def write() -> None:
            own = self.family.state_dict()
            for name, value in own.items():
                if value.is_floating_point() and not torch.isfinite(value).all():
                    raise RunError(f'{name} is not finite after step {self.step}; lower the learning rate, then resume: '
                                   f'{self.checkpoints.standing()}')
            model = family_bytes(self.config.family, own, self.family.config)
            with self.ema.applied():
                ema_modules = family_bytes(self.config.family, self.family.state_dict(), self.family.config)
            state = {'step': self.step, 'data': self.loader.batch_sampler.state_dict(), 'rng': rng_states,
                     'extra_state': extra_states,
                     'optimizers': {group.name: group.optimizer.state_dict() for group in self.param_groups},
                     'precision': self.fabric.strategy.precision.state_dict()}
            figures = self._figures if self._validated == self.step else {}
            path = self.checkpoints.save(self.step, model, ema_modules, state, figures)
            write_bytes(self.folder / 'family.safetensors', ema_modules)
            self.journal.write(self.step, 'checkpoint', {'path': str(path.relative_to(self.folder))})

        self._run_on_first(write)

    def resume(self) -> None:
        """Go back to the newest checkpoint of the run folder, if it has one."""
        path = self.checkpoints.newest()
        if path is None:
            return
        model, ema_modules, state = read_checkpoint(path)
        try:
            self.loader.batch_sampler.load_state_dict(state['data'])
            self.family.load_state_dict(model)
            self.ema.load(ema_modules)
            for group in self.param_groups:
                group.optimizer.load_state_dict(state['optimizers'][group.name])
            self.fabric.strategy.precision.load_state_dict(state['precision'])
            self.step = operator.index(state['step'])
            randomness.restore(state['rng'][self.fabric.global_rank])
            extra_state = state['extra_state'][self.fabric.global_rank] if 'extra_state' in state else {}
            self.family.load_extra_state(extra_state)
        except Exception as error:  # a state of other settings, or a damaged one, makes its readers raise anything
            raise RunError(
                f'{path} does not fit the settings of this run ({shown(error)}); leave data, model and parameter groups as '
                'they were, or delete that folder to resume from an older one'
            ) from error
        self._resumed = True
