"""Who is optimized, with what, and at what rate."""
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

    def set_lr(self, rate: float) -> None:
        """Use this learning rate for the next update, slower where the family wants it so."""
        for param_group in self.optimizer.param_groups:
            param_group['lr'] = rate * param_group.get('factor', 1.0)


def build_optimizer(parameters: list[Parameter], config: OptimizerConfig, factors: dict[Parameter, float]) -> Optimizer:
    """The torch optimizer of one parameter group. factors: of the rates of some parameters."""
    groups: dict[float, list[Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    parameters = [{'params': param_group, 'factor': factor} for factor, param_group in groups.items()]
    if config.name == 'sgd':
        return torch.optim.SGD(parameters, config.lr, momentum=config.betas[0], weight_decay=config.weight_decay)
    if config.name == 'rmsprop':
        return torch.optim.RMSprop(parameters, config.lr, alpha=config.betas[1], momentum=config.betas[0],
                                   weight_decay=config.weight_decay)
    kind = torch.optim.Adam if config.name == 'adam' else torch.optim.AdamW
    return kind(parameters, config.lr, betas=config.betas, weight_decay=config.weight_decay)


def build_optimizer_groups(family: Family, configs: dict[str, OptimizerConfig]) -> list[OptimizerGroup]:
    """The family's parameter groups in their order of update. Parameters of no parameter group are frozen. RunError on a
    parameter group it has not, on none at all, and on a parameter with two owners."""
    groups = family.param_groups()
    if not groups:
        raise RunError(f'{type(family).__name__} has no parameter groups, so there is nothing to train')
    unknown = configs.keys() - groups.keys() - {'default'}
    if unknown:
        raise RunError(f'param_groups.{min(unknown)} is set but the family has only: {", ".join(groups)}')
    owners: dict[Parameter, str] = {}
    for name, parameters in groups.items():
        for parameter in parameters:
            if parameter in owners:
                raise RunError(f'the parameter groups {owners[parameter]} and {name} share a parameter; give it to one of them')
            owners[parameter] = name
    for parameter in family.parameters():
        parameter.requires_grad_(parameter in owners)
    factors = {parameter: factor for parameters, factor in family.lr_scales() for parameter in parameters}
    param_groups = []
    for name, parameters in groups.items():
        config = configs.get(name, configs['default'])
        param_groups.append(OptimizerGroup(name, parameters, config, build_optimizer(parameters, config, factors)))
    return param_groups


def set_trainable_group(param_groups: list[OptimizerGroup], current: OptimizerGroup) -> None:
    """Let only the current parameter group's parameters take gradients."""
    for group in param_groups:
        for parameter in group.parameters:
            parameter.requires_grad_(group is current)
