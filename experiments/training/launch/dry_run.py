"""Summary of a training without a run folder: parameters, losses, data, and memory and speed of a step."""
import time

import torch

from experiments.training.errors import explain_out_of_memory
from experiments.training.launch.build import Training
from experiments.training.launch.memory import PeakMemory


def dry_run(training: Training) -> None:
    """Run two steps and print a summary in the first process. The weights change; nothing is written.

    The first step allocates the state of the optimizers; its memory is printed. The second one is timed.

    Raises:
        OutOfMemory: a step needs more memory than there is.
    """
    engine = training.engine
    device, counts = engine.fabric.device, {group: sum(parameter.numel() for parameter in parameters)
                                            for group, parameters in engine.family.param_groups().items()}
    with explain_out_of_memory(engine.memory_advice):
        steps = engine.micro_batches()
        first = next(steps)
        with PeakMemory(device) as memory:
            engine.train_step(first)
        start = time.monotonic()
        images = engine.train_step(next(steps))
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        seconds = time.monotonic() - start
    engine.module = None  # DDP would keep the process group alive after destroy_process_group
    if not engine.fabric.is_global_zero:
        return
    losses = [f'{name} {weight:g}' for name, weight in engine.family.config.weights.items() if weight]
    batches = len(engine.validation.batches)
    print('\n'.join([
        *(f'parameters of {group}: {count / 1e6:.3f} M' for group, count in counts.items()),
        f'active losses and their weights: {", ".join(losses)}',
        f'data set: {len(training.samples.train)} samples, {batches} validation batches',
        f'memory of a step: {memory.bytes / 2 ** 20:.0f} MiB ({_memory_description(device)})',
        f'speed: {images / seconds:.2f} images per second (one step, with loading)',
    ]))


def _memory_description(device: torch.device) -> str:
    return 'peak of the tensors on the GPU' if device.type == 'cuda' else 'growth of the resident set size to its peak'
