"""Optimizers of a family's parameter groups."""
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from configs.schema import OptimizerConfig
from experiments.training.errors import RunError
from models.base import Family


@dataclass
class OptimizerGroup:
    """One parameter group of a family with its own optimizer."""

    name: str
    parameters: list[Parameter]
    config: OptimizerConfig
    optimizer: Optimizer

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the next update, times the factor of Family.lr_scales where there is one."""
        for param_group in self.optimizer.param_groups:
            param_group['lr'] = lr * param_group.get('factor', 1.0)


def build_optimizer(parameters: list[Parameter], config: OptimizerConfig, lr_scales: dict[Parameter, float]) -> Optimizer:
    """The torch optimizer of one parameter group. lr_scales: factor of the learning rate by parameter, 1 where absent."""
    by_scale: dict[float, list[Parameter]] = {}
    for parameter in parameters:
        by_scale.setdefault(lr_scales.get(parameter, 1.0), []).append(parameter)
    param_groups = [{'params': group, 'factor': scale} for scale, group in by_scale.items()]
    if config.name == 'sgd':
        return torch.optim.SGD(param_groups, config.lr, momentum=config.betas[0], weight_decay=config.weight_decay)
    if config.name == 'rmsprop':
        return torch.optim.RMSprop(param_groups, config.lr, alpha=config.betas[1], momentum=config.betas[0],
                                   weight_decay=config.weight_decay)
    optimizer_type = torch.optim.Adam if config.name == 'adam' else torch.optim.AdamW
    return optimizer_type(param_groups, config.lr, betas=config.betas, weight_decay=config.weight_decay)


def build_optimizer_groups(family: Family, configs: dict[str, OptimizerConfig]) -> list[OptimizerGroup]:
    """The family's parameter groups with their optimizers, in order of update. Parameters outside of all groups are frozen.

    Args:
        family: the family to train.
        configs: optimizer config by group; `default` applies to the others.

    Raises:
        RunError: where the family has no groups, a config names an unknown group, or two groups share a parameter.
    """
    groups = family.param_groups()
    if not groups:
        raise RunError(f'{type(family).__name__} has no parameter groups, so there is nothing to train')
    unknown = configs.keys() - groups.keys() - {'default'}
    if unknown:
        raise RunError(f'param_groups.{min(unknown)} is set but the family has only: {", ".join(groups)}')
    group_names: dict[Parameter, str] = {}
    for name, parameters in groups.items():
        for parameter in parameters:
            if parameter in group_names:
                raise RunError(f'the parameter groups {group_names[parameter]} and {name} share a parameter; put it into one of '
                               'them')
            group_names[parameter] = name
    for parameter in family.parameters():
        parameter.requires_grad_(parameter in group_names)
    lr_scales = {parameter: scale for parameters, scale in family.lr_scales() for parameter in parameters}
    optimizer_groups = []
    for name, parameters in groups.items():
        config = configs.get(name, configs['default'])
        optimizer_groups.append(OptimizerGroup(name, parameters, config, build_optimizer(parameters, config, lr_scales)))
    return optimizer_groups


def set_trainable_group(groups: Sequence[OptimizerGroup], current: OptimizerGroup) -> None:
    """Set requires_grad of the current group's parameters and clear it for those of the others."""
    for group in groups:
        for parameter in group.parameters:
            parameter.requires_grad_(group is current)
