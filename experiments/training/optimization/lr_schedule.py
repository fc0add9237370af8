"""Learning rate schedules as pure functions of the step."""
import math

from configs.schema import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """The learning rate of update number `step`, counted from 0, of a run of `steps` updates.

    Linear warm-up from lr / warmup to lr over `warmup` updates, then lr until the fraction `decay_from` of the run, then a linear
    or cosine decay to lr * floor, which the last update nearly reaches. At each fraction in `drops` the rate is multiplied by
    0.1.
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    start = max(config.warmup, config.decay_from * steps)
    lr = config.lr * 0.1 ** sum(step >= drop * steps for drop in config.drops)
    if config.schedule == 'constant' or step < start:
        return lr
    progress = min(1.0, (step - start) / max(1.0, steps - start))
    factor = 1 - progress if config.schedule == 'linear' else 0.5 * (1 + math.cos(math.pi * progress))
    return lr * (config.floor + (1 - config.floor) * factor)
