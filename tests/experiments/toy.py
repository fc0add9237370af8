"""A family that trains in milliseconds, with everything an engine may trip over: two players, dropout, draws in forward, batch
norm buffers, spectral norm."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader, Dataset

from models.base import Family, FamilyConfig
from models.batch import SwapBatch, collate


class ToyConfig(FamilyConfig):
    size: int = 8
    chance: bool = True
    broken_at: int = -1
    weights: dict[str, float] = {'reconstruction': 1.0, 'adversarial': 0.1, 'critic': 1.0}


class Toy(Family):
    def __init__(self, config: ToyConfig, perception=None):
        super().__init__(config, perception)
        self.painter = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8) if config.chance else nn.Identity(), nn.ReLU(),
                                     nn.Dropout(0.2 if config.chance else 0.0), nn.Conv2d(8, 3, 3, padding=1), nn.Tanh())
        self.critic = nn.Sequential(spectral_norm(nn.Conv2d(3, 8, 3, 2, 1)), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3))
        self.updates: list[str] = []

    def players(self):
        return {'critic': list(self.critic.parameters()), 'painter': list(self.painter.parameters())}

    def averaged(self):
        return {'painter': self.painter}

    def after_update(self, player):
        self.updates.append(player)

    def _swap(self, batch):
        target = batch.target + (0.1 * torch.randn_like(batch.target) if self.config.chance and self.training else 0)
        return self.painter(torch.cat([batch.source, target], 1))

    def forward(self, player, batch, step):
        swap = self._swap(batch)
        if player == 'critic':
            return {'critic': F.softplus(self.critic(swap.detach())).mean() + F.softplus(-self.critic(batch.target)).mean()}
        terms = {}
        if self.wants('reconstruction'):
            terms['reconstruction'] = F.l1_loss(swap, batch.target) / (0.0 if step == self.config.broken_at else 1.0)
        if self.wants('adversarial'):
            terms['adversarial'] = F.softplus(-self.critic(swap)).mean()
        return terms

    @torch.no_grad()
    def generate(self, batch, *, generator=None):
        return self._swap(batch)


class ToyPairs(Dataset):
    """The sample of a key depends on the key alone."""

    def __init__(self, length: int = 24, size: int = 8):
        self.length, self.size = length, size

    def __len__(self):
        return self.length

    def __getitem__(self, key):
        epoch, index = key
        draw = torch.Generator().manual_seed(1000 * epoch + index)
        source, target = torch.rand(2, 3, self.size, self.size, generator=draw) * 2 - 1
        return SwapBatch(source, target, torch.tensor(index % 2 == 0))


class ToySampler:
    """Batches of (epoch, index); `share` of `shares` of each global batch."""

    def __init__(self, length: int, batch: int, share: int = 0, shares: int = 1):
        self.length, self.batch, self.share, self.shares = length, batch, share, shares
        self.load_state_dict({'epoch': 0, 'position': 0})

    def load_state_dict(self, state):
        self.epoch, self.position = state['epoch'], state['position']

    def __len__(self):
        return self.length // (self.batch * self.shares)

    def __iter__(self):
        order = torch.randperm(self.length, generator=torch.Generator().manual_seed(self.epoch)).tolist()
        for number in range(self.position, len(self)):
            begin = (number * self.shares + self.share) * self.batch
            yield [(self.epoch, index) for index in order[begin:begin + self.batch]]


def toy_loader(batch: int = 4, *, workers: int = 0, share: int = 0, shares: int = 1, length: int = 24) -> DataLoader:
    data = ToyPairs(length)
    return DataLoader(data, batch_sampler=ToySampler(length, batch, share, shares), num_workers=workers, collate_fn=collate)
