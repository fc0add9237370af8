"""Speed and memory of a training step of a translator, in the published form and in the suite's, under the same load."""
import multiprocessing
import resource
import statistics
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from configs.resolve import read_preset
from configs.schema import RunConfig
from experiments.benchmarks.published_training import cyclegan_steps, ugatit_steps, use_published_spectral_norm
from experiments.evaluation.metrics.cost import parameters, peak_megabytes
from experiments.training.optimization.optimizers import build_optimizer_groups, set_trainable_group
from models.batch import PairBatch
from models.registry import build_family
from models.runtime.cpu_kernels import use_cpu_kernels
from models.runtime.sessions import bf16_on_cpu

# family, which is also its preset -> total losses by parameter group
PUBLISHED_STEPS: dict[str, Callable[[Any, PairBatch], dict[str, Callable[[], torch.Tensor]]]] = {
    'ugatit': ugatit_steps, 'cyclegan': cyclegan_steps}
ALL_GRADIENTS = ('ugatit',)  # publications that compute gradients of all parameter groups in every update
PLAIN, OURS, KERNELS, BF16 = 'plain', 'ours', 'ours with CPU kernels', 'ours in bf16'


class TrainingStep:
    """One form of a family in training.

    Args:
        name: family and preset.
        form: `plain` as published; `ours` as experiments.training.engine updates it; `ours with CPU kernels` with
            engine.cpu_kernels=true; `ours in bf16` with engine.precision=bf16-mixed.
        batch: images per domain.
        compiled: whether the suite's forms use torch.compile.
        device: name of a torch device.
        model: changes of the preset's model config.
    """

    def __init__(self, name: str, form: str, batch: int, *, compiled: bool, device: str, model: dict):
        torch.manual_seed(0)
        config = RunConfig(**read_preset(name))
        self.family = build_family(name, {**config.model, **model}, None).to(device)
        a, b = torch.rand(2, batch, 3, *[self.family.config.size] * 2, device=device) * 2 - 1
        self.batch = PairBatch(a, b, torch.zeros(batch, dtype=torch.bool, device=device))
        if form == PLAIN:
            use_published_spectral_norm(self.family)
        elif form == KERNELS:
            for network in self.family.ema_modules().values():
                use_cpu_kernels(network)
        if compiled and form != PLAIN:
            self.family.compile(dynamic=False)
        self.param_groups = build_optimizer_groups(self.family, config.param_groups)
        self.bf16, self.all_gradients = form == BF16, form == PLAIN and name in ALL_GRADIENTS
        if form == PLAIN:
            self.losses = PUBLISHED_STEPS[name](self.family, self.batch)
        else:
            self.losses = {group.name: partial(self._total_loss, group.name) for group in self.param_groups}

    def _total_loss(self, group: str) -> torch.Tensor:
        weights = self.family.config.weights
        with torch.autocast(self.batch.a.device.type, torch.bfloat16, enabled=self.bf16):
            return sum(weights[loss] * value for loss, value in self.family(group, self.batch, 0, self.cache).items())

    def run(self) -> None:
        """One update of every parameter group."""
        self.cache: dict[str, Any] = {}  # values that the parameter groups share in this step
        param_groups = {group.name: group for group in self.param_groups}
        for name, total_loss in self.losses.items():
            if not self.all_gradients:
                set_trainable_group(self.param_groups, param_groups[name])
            param_groups[name].optimizer.zero_grad(set_to_none=True)
            total_loss().backward()
            param_groups[name].optimizer.step()
            self.family.after_update(name)
        if self.batch.a.is_cuda:
            torch.cuda.synchronize(self.batch.a.device)


def _serve(pipe: Any, threads: int, options: dict[str, Any]) -> None:
    """Run one step for each True that is received from the pipe. Each form has its own process, so that the peak memory of the
    process is that of the form."""
    try:
        torch.set_num_threads(threads)
        step = TrainingStep(**options)
        device = torch.device(options['device'])
        pipe.send(parameters(step.family) / 1e6)
        while pipe.recv():
            start = _seconds(device)
            step.run()
            pipe.send((_seconds(device) - start, peak_megabytes(device)))
    except Exception as error:  # raised again by the measuring process
        traceback.print_exc()
        pipe.send(error)


def _seconds(device: torch.device) -> float:
    """Clock of a measurement in seconds. On a CPU: user and system time of all threads of this process, on which the load of the
    machine has little effect."""
    if device.type != 'cpu':
        return time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def translation_figures(name: str, *, batch: int = 1, repeats: int = 2, threads: int = 1, compiled: bool = False,
                        device: str = 'cpu', **model: object) -> dict[str, float]:
    """Seconds and peak megabytes of a training step in each form of TrainingStep that the device supports.

    The forms alternate after one warm-up step each; figures are medians.

    Args:
        model: changes of the preset's model config.

    Raises:
        RuntimeError: a form fails.
    """
    spawn = multiprocessing.get_context('spawn')
    forms = [PLAIN, OURS, *([KERNELS] if device == 'cpu' else []), *([BF16] if device != 'cpu' or bf16_on_cpu() else [])]
    pipes: dict[str, Any] = {}
    processes: list[Any] = []
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    megabytes: dict[str, float] = {}

    def receive(form: str) -> Any:
        message = pipes[form].recv()
        if isinstance(message, Exception):
            raise RuntimeError(f'{name}, {form}: {message}')
        return message

    try:
        for form in forms:
            pipes[form], child = spawn.Pipe()
            options = {'name': name, 'form': form, 'batch': batch, 'compiled': compiled, 'device': device, 'model': model}
            processes.append(spawn.Process(target=_serve, args=(child, threads, options), daemon=True))
            processes[-1].start()
            million_parameters = receive(form)
        for _ in range(repeats + 1):
            for form in forms:
                pipes[form].send(True)
                elapsed, megabytes[form] = receive(form)
                seconds[form].append(elapsed)
    finally:
        for process in processes:
            process.terminate()
    median = {form: statistics.median(seconds[form][1:]) for form in forms}
    figures = {'million parameters': million_parameters}
    for form in forms:
        figures |= {f'{form}, s/step': median[form], f'{form}, peak MB': megabytes[form]}
    return figures | {f'times as fast, {form}': median[PLAIN] / median[form] for form in forms[1:]}
