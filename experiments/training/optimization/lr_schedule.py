"""Learning rates as pure functions of the step."""
import math

from configs.schema import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """The rate of the update number `step` (from 0) of a run of `steps`.

    Linear warm-up from lr / warmup to lr, then lr until the fraction `decay_from` of the run, then a line or half a cosine
    down to lr * floor, which the last update nearly reaches; at each of `drops` all that falls to a tenth.
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    start = max(config.warmup, config.decay_from * steps)
    dropped = config.lr * 0.1 ** sum(step >= drop * steps for drop in config.drops)
    if config.schedule == 'constant' or step < start:
        return dropped
    progress = min(1.0, (step - start) / max(1.0, steps - start))
    left = 1 - progress if config.schedule == 'linear' else 0.5 * (1 + math.cos(math.pi * progress))
    return dropped * (config.floor + (1 - config.floor) * left)
