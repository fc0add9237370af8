"""The training loop, on Lightning Fabric: one or several processes on one or several nodes."""
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from configs.reading import shown
from configs.resolve import dump
from configs.schema import RunConfig
from experiments.progress import ProgressBar
from experiments.training.devices.fabric import LossModule, MicroBatch
from experiments.training.devices.processes import gather, run_on_first
from experiments.training.errors import Interrupted, RunError, explain_out_of_memory
from experiments.training.interruption import Interruption
from experiments.training.logging.journal import Journal
from experiments.training.logging.meters import MeanMeter, Throughput
from experiments.training.logging.monitor import TrainingMonitor
from experiments.training.optimization.ema import EMA
from experiments.training.optimization.lr_schedule import learning_rate
from experiments.training.optimization.optimizers import build_optimizer_groups, set_trainable_group
from experiments.training.optimization.weighting import LossWeighting
from experiments.training.state.checkpoint import Checkpoints, read_checkpoint
from experiments.training.state.rng import seed_all
from experiments.training.state.training_state import TrainingState
from experiments.training.validation import Validation
from models.base import Family
from models.runtime.cpu_kernels import use_cpu_kernels
from models.storage.files import write_bytes

UNUSED_LOSS_STEPS = 32  # after this many steps, a weighted loss that no parameter group has returned is an error


class Engine:
    """Trains a family and writes a run folder.

    Args:
        config: the resolved config of the run.
        family: the family to train, on the CPU.
        loader: endless batches of the family's type; an item depends on its key alone, and the batch_sampler's state_dict counts
            the batches that were returned.
        fabric: the launched processes.
        folder: the run folder, created by `fit`.
        validation: fixed batches for validation and panels; may be empty.

    Attributes:
        step: number of finished updates.

    Raises:
        RunError: where settings, data or the machine do not allow the run, in any method.
    """

    def __init__(self, config: RunConfig, family: Family, loader: DataLoader, *, fabric: Fabric, folder: str | Path,
                 validation: Sequence[Any] = ()):
        self.config, self.family, self.loader, self.fabric = config, family, loader, fabric
        self.folder, engine = Path(folder), config.engine
        self.checkpoints = Checkpoints(self.folder / 'checkpoints', engine.keep, engine.best, engine.best_is, config.family)
        if engine.best and not validation:
            raise RunError(f'engine.best={engine.best} needs validation images; set data.validation_batches above 0')
        seed_all(engine.seed, fabric.global_rank)
        self._configure_family()
        self.param_groups = build_optimizer_groups(family, config.param_groups)
        with explain_out_of_memory(self.memory_advice):
            validation_batches = [self._to_device(batch) for batch in validation]
            if family.has_perception:
                family.perception.to(fabric.device)
            self.module, *optimizers = fabric.setup(LossModule(family), *(group.optimizer for group in self.param_groups))
            self.ema = EMA(family, family.ema_modules(), engine.ema, round(engine.ema_from * engine.steps))
        for group, optimizer in zip(self.param_groups, optimizers):
            group.optimizer = optimizer
        self.state = TrainingState(family, config.family, self.ema, self.param_groups, loader.batch_sampler, fabric)
        self.validation = Validation(family, self.ema, [group.name for group in self.param_groups], validation_batches,
                                     engine.seed)
        self.weighting = LossWeighting(family.config.weights)
        self.losses, self.metrics = MeanMeter(), MeanMeter()
        self.throughput, self.monitor = Throughput(), TrainingMonitor()
        self.step = 0
        self._resumed = False
        self._validated_step = -1
        self._validation_metrics: dict[str, float] = {}  # metrics at _validated_step, in the first process only

    def _configure_family(self) -> None:
        """Set training mode, CPU kernels, memory format and compilation."""
        engine, family, device = self.config.engine, self.family, self.fabric.device
        family.train()
        if engine.cpu_kernels and (device.type != 'cpu' or not sum(map(use_cpu_kernels, family.ema_modules().values()))):
            raise RunError(f'engine.cpu_kernels=true has no effect on {self.config.family} on {device.type}; remove it')
        if engine.channels_last:
            family.to(memory_format=torch.channels_last)
            if family.has_perception:
                family.perception.to(memory_format=torch.channels_last)
        if engine.compile:
            family.compile(dynamic=False)

    def memory_advice(self) -> str:
        """The settings that reduce memory, as a clause for messages."""
        engine, batch = self.config.engine, self.config.data.batch
        options = [f'data.batch below {batch}, with engine.accumulate higher by as much'] * (batch > 1)
        options += ['engine.precision=bf16-mixed'] * (engine.precision == '32-true')
        return f'set {" or ".join([*options, "a smaller model"])}; {self.checkpoints.status()}'

    def _to_device(self, batch: Any) -> Any:
        """The batch on this process's device, in the configured memory format."""
        batch = batch.to(self.fabric.device)
        if not self.config.engine.channels_last:
            return batch
        return batch.map(lambda value: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value)

    def _run_on_first(self, work: Callable[[], None]) -> None:
        run_on_first(self.fabric, work, self.folder, self.checkpoints.status)

    # -- The loop ---------------------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the last step. After SIGINT or SIGTERM, save a checkpoint and raise Interrupted."""
        self._run_on_first(self._open_folder)
        engine = self.config.engine
        self.progress_bar, self.throughput = ProgressBar(self.step, engine.steps, self.fabric.is_global_zero), Throughput()
        try:
            with Interruption() as interruption, explain_out_of_memory(self.memory_advice):
                stream = self.micro_batches()
                while self.step < engine.steps:
                    micro_batches = next(stream)
                    self.throughput.add(self.train_step(micro_batches))
                    log, save = self._is_due(engine.log_every), self._is_due(engine.checkpoint_every)
                    stop_signal = self._synchronize(interruption, log or save)
                    if not self._resumed and self.step == min(UNUSED_LOSS_STEPS, engine.steps):
                        self.weighting.check_all_used()
                    if log:
                        self._log()
                    if self.validation.batches and self._is_due(engine.validate_every):
                        self._validate()
                    if self._is_due(engine.image_every):
                        self._run_on_first(partial(self._save_panel, micro_batches[0].batch))
                    if save or stop_signal:
                        self._save()
                    if stop_signal and self.step < engine.steps:
                        raise Interrupted(f'stopped by {signal.Signals(stop_signal).name} at step {self.step} of {engine.steps} '
                                          f'and saved; continue with --resume {self.folder}', stop_signal)
                    self.progress_bar.step(self.step)
        finally:
            self.progress_bar.close()
            if self.fabric.is_global_zero:
                self.journal.close()
            self.module = None  # DDP would keep the process group alive after destroy_process_group

    def _is_due(self, every: int) -> bool:
        """Whether `step` is a multiple of `every` or the last one."""
        return self.step == self.config.engine.steps or self.step % every == 0

    def micro_batches(self) -> Iterator[list[MicroBatch]]:
        """The endless micro-batches of each step, on the device."""
        batches = map(self._to_device, self.loader)
        while True:
            yield [MicroBatch(next(batches)) for _ in range(self.config.engine.accumulate)]

    def train_step(self, micro_batches: list[MicroBatch]) -> int:
        """One optimizer step of each parameter group that is due, on the mean loss of all micro-batches, then of the EMA weights.

        Returns:
            The number of images of all processes.
        """
        engine = self.config.engine
        for group in self.param_groups:
            if self.step % group.config.every:
                continue
            set_trainable_group(self.param_groups, group)
            group.set_lr(learning_rate(group.config, self.step, engine.steps))
            group.optimizer.zero_grad(set_to_none=True)
            for number, micro_batch in enumerate(micro_batches, 1):
                with self.fabric.no_backward_sync(self.module, enabled=number < len(micro_batches)):
                    losses = self.module(group.name, micro_batch, self.step)
                    self.fabric.backward(self.weighting(group.name, losses) / len(micro_batches))
                self.losses.add(self.step + 1, losses)
                metrics = {f'metrics/{name}': value for name, value in self.family.pop_metrics().items()}
                self.metrics.add(self.step + 1, metrics)
            norm = self.fabric.clip_gradients(self.module, group.optimizer, max_norm=engine.clip or float('inf'),
                                              error_if_nonfinite=False)
            if norm is not None:
                self.metrics.add(self.step + 1, {f'grad_norm/{group.name}': norm})
            group.optimizer.step()
            self.family.after_update(group.name)
        self.ema.update(self.step)
        self.step += 1
        return sum(len(micro_batch.batch) for micro_batch in micro_batches) * self.fabric.world_size

    def _synchronize(self, interruption: Interruption, due: bool) -> int | None:
        """Exchange losses that are not finite and received signals between the processes.

        Reading a loss waits for the device. On a GPU this is done only where `due`, or where the only process received a signal.

        Returns:
            The number of a received stop signal, or None.

        Raises:
            RunError: in every process, where a loss of one of them was not finite.
        """
        single = self.fabric.world_size == 1
        if not (due or self.fabric.device.type == 'cpu' or (single and interruption.signal)):
            return None
        reports = gather(self.fabric, (self.losses.first_nonfinite(), interruption.signal))
        nonfinite = min((loss for loss, _ in reports if loss), default=None)
        if nonfinite:
            step, name = nonfinite
            raise RunError(f'the loss {name!r} was not finite at step {step}; lower the learning rate or its weight, '
                           f'then resume: {self.checkpoints.status()}')
        return next((number for _, number in reports if number), None)

    # -- Logging and validation -------------------------------------------------------------------------------------------

    def _log(self) -> None:
        """Log the means over the steps since the last log and over all processes."""
        losses, metrics, images_per_second = self._means(self.losses), self._means(self.metrics), self.throughput.read()
        lrs = {f'lr/{group.name}': group.optimizer.param_groups[0]['lr'] for group in self.param_groups}
        line = {**{f'train/{name}': value for name, value in losses.items()}, **metrics, **lrs,
                'images_per_second': images_per_second}
        self._run_on_first(lambda: self.journal.write(self.step, 'train', line))
        logged = {name.removeprefix('metrics/'): value for name, value in metrics.items() if name.startswith('metrics/')}
        self.progress_bar.show(self.step, {**losses, **logged}, images_per_second)
        for warning in self.monitor.warnings(self.step, logged):
            self.progress_bar.print(f'warning: {warning}')

    def _means(self, meter: MeanMeter) -> dict[str, float]:
        """Means over all processes."""
        means = gather(self.fabric, meter.means())
        return {name: fmean(part[name] for part in means if name in part) for name in means[0]}

    def _validate(self) -> None:
        """Validate in the first process and log the result."""
        def measure() -> None:
            metrics, best = self.validation.metrics(self.step), self.config.engine.best
            if best and best not in metrics:
                raise RunError(f'engine.best={best} is not measured; there are: {", ".join(metrics)}')
            self._validation_metrics = metrics
            self.journal.write(self.step, 'validation', metrics)

        self._run_on_first(measure)
        self._validated_step = self.step

    def _save_panel(self, batch: Any) -> None:
        """Save a panel of the first validation batch, or of `batch` where there is none."""
        path = self.journal.images(self.step, self.validation.panel(batch))
        self.progress_bar.print(f'images: {path}')

    # -- The run folder ---------------------------------------------------------------------------------------------------

    def _open_folder(self) -> None:
        """Create the run folder with its config and open its journal."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / 'config.yaml', dump(self.config).encode())
        self.journal = Journal(self.folder, self.step)

    def _save(self) -> None:
        """Write a checkpoint and the run's family.safetensors."""
        if self.config.engine.best and self._validated_step != self.step:
            self._validate()
        state = self.state.state_dict(self.step)

        def write() -> None:
            nonfinite = self.state.nonfinite_tensor()
            if nonfinite:
                raise RunError(f'{nonfinite} is not finite after step {self.step}; lower the learning rate, then resume: '
                               f'{self.checkpoints.status()}')
            model, ema_model = self.state.weight_files()
            metrics = self._validation_metrics if self._validated_step == self.step else {}
            path = self.checkpoints.save(self.step, model, ema_model, state, metrics)
            write_bytes(self.folder / 'family.safetensors', ema_model)
            self.journal.write(self.step, 'checkpoint', {'path': str(path.relative_to(self.folder))})

        self._run_on_first(write)

    def resume(self) -> None:
        """Restore the newest checkpoint of the run folder, if there is one."""
        path = self.checkpoints.newest()
        if path is None:
            return
        files = read_checkpoint(path)
        try:
            self.step = self.state.load(*files)
        except Exception as error:  # values of other settings or of a damaged file make the setters raise any exception
            raise RunError(
                f'{path} does not fit the settings of this run ({shown(error)}); restore the settings of data, model and '
                'parameter groups, or delete that folder to resume from an older one'
            ) from error
        self._resumed = True
