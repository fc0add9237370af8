"""The state of a run that a checkpoint holds."""
import operator
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from experiments.training.devices.processes import gather
from experiments.training.optimization.ema import EMA
from experiments.training.optimization.optimizers import OptimizerGroup
from experiments.training.state import rng
from experiments.training.state.checkpoint import family_bytes
from models.base import Family


class TrainingState:
    """All state of a run, saved and loaded together.

    Weights go to safetensors files. state.pt holds `step`, `data` (position of the sampler), `optimizers` (by parameter group),
    `precision` (gradient scaler), `rng` and `extra_state` (lists with one entry per process).

    Args:
        family: the family in training.
        name: name of the family in the registry.
        ema: EMA weights of the family.
        param_groups: parameter groups of the family with their optimizers.
        sampler: the batch sampler of the loader, with state_dict and load_state_dict.
        fabric: the launched processes.
    """

    def __init__(self, family: Family, name: str, ema: EMA, param_groups: Sequence[OptimizerGroup], sampler: Any,
                 fabric: Fabric):
        self.family, self.name, self.ema, self.param_groups, self.sampler = family, name, ema, param_groups, sampler
        self.fabric, self.precision = fabric, fabric.strategy.precision

    def state_dict(self, step: int) -> dict[str, Any]:
        """The content of state.pt after `step` updates. Collective: every process has to call it."""
        return {
            'step': step,
            'data': self.sampler.state_dict(),
            'rng': gather(self.fabric, rng.capture()),
            'extra_state': gather(self.fabric, self.family.extra_state()),
            'optimizers': {group.name: group.optimizer.state_dict() for group in self.param_groups},
            'precision': self.precision.state_dict(),
        }

    def nonfinite_tensor(self) -> str | None:
        """Name of the first weight or buffer with a value that is NaN or infinite."""
        for name, value in self.family.state_dict().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                return name
        return None

    def weight_files(self) -> tuple[bytes, bytes]:
        """model.safetensors, the weights in training, and family.safetensors, with EMA weights."""
        model = family_bytes(self.name, self.family.state_dict(), self.family.config)
        with self.ema.applied():
            return model, family_bytes(self.name, self.family.state_dict(), self.family.config)

    def load(self, model: dict[str, Tensor], ema_model: dict[str, Tensor], state: dict[str, Any]) -> int:
        """Restore what `weight_files` and `state_dict` return and return the step. Raises any exception where a part does not fit
        the family, its optimizers or the data."""
        rank = self.fabric.global_rank
        self.sampler.load_state_dict(state['data'])
        self.family.load_state_dict(model)
        self.ema.load(ema_model)
        for group in self.param_groups:
            group.optimizer.load_state_dict(state['optimizers'][group.name])
        self.precision.load_state_dict(state['precision'])
        step = operator.index(state['step'])
        rng.restore(state['rng'][rank])
        self.family.load_extra_state(state['extra_state'][rank] if 'extra_state' in state else {})
        return step
