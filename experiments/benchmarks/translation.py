"""How fast a training step of a translator is as its publication runs it and as the suite does, side by side under one load."""
import multiprocessing
import resource
import statistics
import time
import traceback
from contextlib import nullcontext
from functools import partial

import torch

from configs.resolve import read_preset
from configs.schema import RunConfig
from experiments.benchmarks.plain import cyclegan_steps, direct, ugatit_steps
from experiments.evaluation.metrics.cost import parameters, peak_megabytes
from experiments.training.optimizers import build_optimizer_groups, set_trainable_group
from models.batch import PairBatch
from models.registry import build_family
from models.runtime.sessions import bf16_on_cpu

PLAIN = {'ugatit': ugatit_steps, 'cyclegan': cyclegan_steps}  # the families that are measured, each with its preset

WASTEFUL = ('ugatit',)  # whose publication takes gradients of parameter groups who are not being updated, and throws them away


class Game:
    """One form of a family in training: `plain` as published, otherwise as experiments.training.engine updates it, `half` with
    engine.precision=bf16-mixed. model: changes of the preset's config. compiled: torch.compile, of our form only."""

    def __init__(self, name: str, batch: int, *, plain: bool, half: bool, compiled: bool, device: str, model: dict):
        torch.manual_seed(0)
        config = RunConfig(**read_preset(name))
        self.family = build_family(name, {**config.model, **model}, None).to(device)
        first, second = torch.rand(2, batch, 3, *[self.family.config.size] * 2, device=device) * 2 - 1
        self.batch = PairBatch(first, second, torch.zeros(batch, dtype=torch.bool, device=device))
        if compiled and not plain:
            self.family.compile(dynamic=False)
        self.param_groups = build_optimizer_groups(self.family, config.param_groups)
        self.plain, self.half, self.wasteful = plain, half, plain and name in WASTEFUL
        self.losses = {group.name: partial(self._own, group.name) for group in self.param_groups}
        if plain:
            self.losses = PLAIN[name](self.family, self.batch)

    def _own(self, group: str) -> torch.Tensor:
        weights = self.family.config.weights
        with torch.autocast(self.batch.a.device.type, torch.bfloat16, enabled=self.half):
            return sum(weights[loss] * value for loss, value in self.family(group, self.batch, 0, self.cache).items())

    def step(self) -> None:
        """One update of every parameter group."""
        self.cache = {}  # what the parameter groups share in this step
        param_groups = {group.name: group for group in self.param_groups}
        for name, total_loss in self.losses.items():
            if not self.wasteful:
                set_trainable_group(self.param_groups, param_groups[name])
            param_groups[name].optimizer.zero_grad(set_to_none=True)
            with direct() if self.plain else nullcontext():
                total_loss().backward()
            param_groups[name].optimizer.step()
            self.family.after_update(name)
        if self.batch.a.is_cuda:
            torch.cuda.synchronize(self.batch.a.device)


def _serve(pipe, threads: int, options: dict) -> None:
    """In a process of its own, so that the most memory that it held is its form's: a step for each True that comes."""
    try:
        torch.set_num_threads(threads)
        game = Game(**options)
        device = torch.device(options['device'])
        pipe.send(parameters(game.family) / 1e6)
        while pipe.recv():
            began = _seconds(device)
            game.step()
            pipe.send((_seconds(device) - began, peak_megabytes(device)))
    except Exception as error:  # handed over: the one who measures says it
        traceback.print_exc()
        pipe.send(error)


def _seconds(device: torch.device) -> float:
    """On a CPU those that the processor spends on this process, all threads and what the system does for it (fresh memory) added:
    what else runs there hardly changes them."""
    if device.type != 'cpu':
        return time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def translating(name: str, *, batch: int = 1, repeats: int = 2, threads: int = 1, compiled: bool = False,
                device: str = 'cpu', **model) -> dict[str, float]:
    """A training step as published, as ours and, where the device has the instructions for it, as ours in bf16, called in turns,
    after one step each to warm up; medians. model: changes of the preset's. RuntimeError where a form fails."""
    spawn, forms = multiprocessing.get_context('spawn'), ['plain', 'ours'] + ['ours in bf16'] * (device != 'cpu' or bf16_on_cpu())
    pipes, processes, seconds, most = {}, [], {form: [] for form in forms}, {}

    def answer(form: str):
        found = pipes[form].recv()
        if isinstance(found, Exception):
            raise RuntimeError(f'{name}, {form}: {found}')
        return found

    try:
        for form in forms:
            pipes[form], there = spawn.Pipe()
            options = {'name': name, 'batch': batch, 'plain': form == 'plain', 'half': form == 'ours in bf16',
                       'compiled': compiled, 'device': device, 'model': model}
            processes.append(spawn.Process(target=_serve, args=(there, threads, options), daemon=True))
            processes[-1].start()
            numbers = answer(form)
        for _ in range(repeats + 1):
            for form in forms:
                pipes[form].send(True)
                taken, most[form] = answer(form)
                seconds[form].append(taken)
    finally:
        for process in processes:
            process.terminate()
    median = {form: statistics.median(seconds[form][1:]) for form in forms}
    figures = {'million numbers': numbers}
    for form in forms:
        figures |= {f'{form}, s/step': median[form], f'{form}, peak MB': most[form]}
    return figures | {f'times as fast, {form}': median['plain'] / median[form] for form in forms[1:]}
