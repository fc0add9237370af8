"""Devices, processes and the wrapped module of a run, by Lightning Fabric."""
import atexit
import gc
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from configs.schema import EngineConfig
from experiments.training.errors import RunError
from experiments.training.optimization.precision import AutocastPrecision
from models.base import Family


def accelerator_type(config: EngineConfig) -> str:
    """The device type, cpu, cuda or mps, that `auto` resolves to. Raises RunError where the machine has fewer GPUs than
    engine.devices."""
    counts = {'cuda': torch.cuda.device_count(), 'mps': int(torch.backends.mps.is_available())}
    name: str = config.accelerator
    if name == 'auto':
        name = next((name for name, count in counts.items() if count), 'cpu')
    count = counts.get(name, config.devices)  # a CPU takes any number of processes
    if not count:
        raise RunError(f'engine.accelerator={name} does not work on this machine, which has no such GPU: set '
                       'engine.accelerator=auto')
    if config.devices > count:
        raise RunError(f'engine.devices={config.devices} asks for more GPUs than the {count} of this machine: set '
                       f'engine.devices={count}, and engine.accumulate higher by as much to keep the size of an update')
    return name


def build_fabric(config: EngineConfig) -> Fabric:
    """A launched Fabric; with several processes, the code after this call runs in each of them. Raises RunError where the machine
    does not support the settings."""
    accelerator = accelerator_type(config)
    precision = None if config.precision == '32-true' else AutocastPrecision(config.precision, accelerator)
    # A step updates one parameter group at a time, so some parameters are always unused.
    strategy = DDPStrategy(find_unused_parameters=True) if config.devices * config.nodes > 1 else 'auto'
    try:
        fabric = Fabric(accelerator=accelerator, devices=config.devices, num_nodes=config.nodes, strategy=strategy,
                        plugins=precision)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise RunError(f'engine.accelerator={config.accelerator} with engine.devices={config.devices} and engine.precision='
                       f'{config.precision} does not work on this machine: {" ".join(str(error).split())}') from error
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    fabric.launch()
    if fabric.world_size > 1:
        atexit.register(_destroy_process_group)
    return fabric


def _destroy_process_group() -> None:
    """Destroy the process group, which Fabric does for nccl only: a gloo thread that frees a tensor at interpreter exit aborts
    the process (pytorch/pytorch#179291). Its threads end once nothing else refers to the group."""
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()


class MicroBatch:
    """A batch and the cache that its parameter groups share in one step. A plain object, which Fabric and DDP pass on unchanged;
    they would rebuild a dict, and cannot rebuild a frozen dataclass."""

    def __init__(self, batch: Any):
        self.batch = batch
        self.cache: dict[str, Any] = {}


class LossModule(nn.Module):
    """Family.forward as the module that Fabric and DDP wrap."""

    def __init__(self, family: Family):
        super().__init__()
        self.family = family

    def forward(self, group: str, micro_batch: MicroBatch, step: int) -> dict[str, Tensor]:
        return self.family(group, micro_batch.batch, step, micro_batch.cache)
