"""Who is optimised, with what, and at what rate."""
from dataclasses import dataclass

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from configs.schema import OptimiserConfig
from experiments.errors import RunError
from models.base import Family


@dataclass
class Player:
    """One player of a family with its own optimiser."""

    name: str
    parameters: list[Parameter]
    config: OptimiserConfig
    optimiser: Optimizer

    def set_rate(self, rate: float) -> None:
        """Use this learning rate for the next update, slower where the family wants it so."""
        for group in self.optimiser.param_groups:
            group['lr'] = rate * group.get('factor', 1.0)


def build_optimiser(parameters: list[Parameter], config: OptimiserConfig, factors: dict[Parameter, float]) -> Optimizer:
    """The torch optimiser of one player. factors: of the rates of some parameters."""
    groups: dict[float, list[Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    parameters = [{'params': group, 'factor': factor} for factor, group in groups.items()]
    if config.name == 'sgd':
        return torch.optim.SGD(parameters, config.lr, momentum=config.betas[0], weight_decay=config.weight_decay)
    if config.name == 'rmsprop':
        return torch.optim.RMSprop(parameters, config.lr, alpha=config.betas[1], momentum=config.betas[0],
                                   weight_decay=config.weight_decay)
    kind = torch.optim.Adam if config.name == 'adam' else torch.optim.AdamW
    return kind(parameters, config.lr, betas=config.betas, weight_decay=config.weight_decay)


def build_players(family: Family, configs: dict[str, OptimiserConfig]) -> list[Player]:
    """The family's players in their order of update. Parameters of no player are frozen. RunError on a player it has not, on
    none at all, and on a parameter with two owners."""
    groups = family.players()
    if not groups:
        raise RunError(f'{type(family).__name__} has no players, so there is nothing to train')
    unknown = configs.keys() - groups.keys() - {'default'}
    if unknown:
        raise RunError(f'players.{min(unknown)} is set but the family has only: {", ".join(groups)}')
    owners: dict[Parameter, str] = {}
    for name, parameters in groups.items():
        for parameter in parameters:
            if parameter in owners:
                raise RunError(f'the players {owners[parameter]} and {name} share a parameter; give it to one of them')
            owners[parameter] = name
    for parameter in family.parameters():
        parameter.requires_grad_(parameter in owners)
    factors = {parameter: factor for parameters, factor in family.paces() for parameter in parameters}
    players = []
    for name, parameters in groups.items():
        config = configs.get(name, configs['default'])
        players.append(Player(name, parameters, config, build_optimiser(parameters, config, factors)))
    return players


def hand_over(players: list[Player], current: Player) -> None:
    """Let only the current player's parameters take gradients."""
    for player in players:
        for parameter in player.parameters:
            parameter.requires_grad_(player is current)
