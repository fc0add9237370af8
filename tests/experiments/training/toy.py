"""A family that trains in milliseconds, with two parameter groups, dropout, random numbers in forward, batch norm and spectral
norm."""
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import Dataset

from configs.schema import RunConfig
from datasets.loaders import build_loader
from experiments.training.devices.fabric import build_fabric
from experiments.training.engine import Engine
from models.base import Family, FamilyConfig
from models.batch import SwapBatch, collate


class ToyConfig(FamilyConfig):
    size: int = 8
    deterministic: bool = False  # without random numbers and without buffers that change in forward
    nan_at: int = -1  # the step at which the reconstruction loss is not finite
    weights: dict[str, float] = {'reconstruction': 1.0, 'adversarial': 0.1, 'discriminator': 1.0}


class Toy(Family):
    """on_update: called with the name of a parameter group after each of its updates."""

    task = 'swap'

    def __init__(self, config: ToyConfig, perception=None):
        super().__init__(config, perception)
        norm, dropout = (nn.Identity(), nn.Identity()) if config.deterministic else (nn.BatchNorm2d(8), nn.Dropout(0.2))
        self.generator = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), norm, nn.ReLU(), dropout, nn.Conv2d(8, 3, 3, padding=1),
                                       nn.Tanh())
        normalize = nn.Identity() if config.deterministic else spectral_norm
        self.discriminator = nn.Sequential(normalize(nn.Conv2d(3, 8, 3, 2, 1)), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3))
        self.on_update = lambda group: None

    def param_groups(self):
        return {'discriminator': list(self.discriminator.parameters()), 'generator': list(self.generator.parameters())}

    def ema_modules(self):
        return {'generator': self.generator}

    def after_update(self, group):
        self.on_update(group)

    def _swap(self, batch):
        target = batch.target
        if self.training and not self.config.deterministic:
            target = target + 0.1 * torch.randn_like(target)
        return self.generator(torch.cat([batch.source, target], 1))

    def forward(self, group, batch, step, cache):
        swap = self._swap(batch)
        if group == 'discriminator':
            on_fake, on_real = self.discriminator(swap.detach()), self.discriminator(batch.target)
            return {'discriminator': F.softplus(on_fake).mean() + F.softplus(-on_real).mean()}
        losses = {}
        self.log_metrics(brightness=swap.mean())
        if self.is_active('reconstruction'):
            losses['reconstruction'] = F.l1_loss(swap, batch.target) / (0.0 if step == self.config.nan_at else 1.0)
        if self.is_active('adversarial'):
            losses['adversarial'] = F.softplus(-self.discriminator(swap)).mean()
        return losses

    @torch.no_grad()
    def generate(self, batch, *, generator=None):
        return self._swap(batch)


class ToyPairs(Dataset):
    """Random pairs of images; a sample depends on its key alone."""

    def __init__(self, length: int = 24, size: int = 8):
        self.length, self.size = length, size

    def __len__(self):
        return self.length

    def __getitem__(self, key):
        epoch, index = key
        rng = torch.Generator().manual_seed(1000 * epoch + index)
        source, target = torch.rand(2, 3, self.size, self.size, generator=rng) * 2 - 1
        return SwapBatch(source, target, torch.tensor(index % 2 == 0))


def toy_engine(folder: Path, *, batch: int = 4, workers: int = 0, model: dict[str, Any] | None = None,
               param_groups: dict[str, Any] | None = None, family: type[Family] = Toy, validation=(), **engine) -> Engine:
    """An engine on the CPU for 8 steps with a checkpoint every 2; `engine` overrides EngineConfig."""
    settings = {'steps': 8, 'accelerator': 'cpu', 'checkpoint_every': 2, 'log_every': 1, 'seed': 7, **engine}
    config = RunConfig(family='toy', model=model or {}, param_groups=param_groups or {}, engine=settings)
    fabric = build_fabric(config.engine)
    torch.manual_seed(config.engine.seed)
    loader = build_loader(ToyPairs(), batch, seed=5, workers=workers, rank=fabric.global_rank, world_size=fabric.world_size)
    return Engine(config, family(ToyConfig(**config.model)), loader, fabric=fabric, folder=folder, validation=validation)


def toy_batches(count: int) -> list[SwapBatch]:
    """Batches of 4 for validation."""
    pairs = ToyPairs()
    return [collate([pairs[9, 4 * number + index] for index in range(4)]) for number in range(count)]
