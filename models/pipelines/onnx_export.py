"""Export of swap generators to ONNX, and families that run such files. Writes ONNX files."""
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.runtime.sessions import Inputs, Session, export


class _FamilyFunction(nn.Module):
    """A family as a function: target (B,3,H,W), labels (B,H,W) int64, identity (B,D) -> swap (B,3,H,W)."""

    family: Family

    def __init__(self, family: Family):
        super().__init__()
        self.family = family

    def forward(self, target: Tensor, labels: Tensor, identity: Tensor) -> Tensor:
        same = labels[:, 0, 0] < 0
        return self.family.generate(SwapBatch(target, target, same, target_parsing=labels, source_embedding=identity))


class _GeneratorFunction(nn.Module):
    """An unconditional generator as a function: target (B,3,H,W), identity (B,D) -> swap (B,3,H,W)."""

    generator: Any

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, target: Tensor, identity: Tensor) -> Tensor:
        return self.generator.swap(target, identity)


def _random_inputs(count: int, size: int, id_dim: int) -> Inputs:
    generator = torch.Generator().manual_seed(count)
    return {'target': torch.rand(count, 3, size, size, generator=generator) * 2 - 1,
            'labels': torch.randint(len(PARTS), (count, size, size), generator=generator),
            'identity': F.normalize(torch.randn(count, id_dim, generator=generator))}


@torch.no_grad()
def onnx_inputs(family: Family, batch: SwapBatch) -> Inputs:
    """Inputs of the exported form of a family for a batch: name -> tensor."""
    return {'target': batch.target, 'labels': family.perception.require('parser').labels(batch.target),
            'identity': family.perception.id_encoder(batch.source)}


@torch.no_grad()
def export_family(family: Family, file: Path) -> float:
    """Write `generate` of a family as ONNX with the inputs target, labels and identity, for any batch size.

    Returns:
        The largest absolute difference of onnxruntime and PyTorch.

    Raises:
        ValueError: the difference is above models.runtime.sessions.MAX_EXPORT_ERROR, or the family samples noise.
    """
    network, size = _FamilyFunction(family).eval(), family.config.size
    id_dim = family.perception.id_encoder(torch.zeros(1, 3, size, size)).shape[1]
    inputs = _random_inputs(1, size, id_dim)
    first, second = network(**inputs), network(**inputs)
    if not torch.equal(first, second):
        raise ValueError(f'{type(family).__name__} generates from noise step by step and is no single network: '
                         'export a CVAE or a CGAN')
    return export(network, lambda count: _random_inputs(count, size, id_dim), 'swap', file)


def export_generator(generator: nn.Module, file: Path) -> float:
    """`export_family` for a models.cgan.generator.Generator without conditions, such as the published ones; inputs target and
    identity."""
    config: Any = generator.config

    def inputs(count: int) -> Inputs:
        tensors = _random_inputs(count, config.size, config.id_dim)
        return {name: tensors[name] for name in ('target', 'identity')}

    return export(_GeneratorFunction(generator), inputs, 'swap', file)


class SwapSession(Session):
    """An exported swap generator.

    Attributes:
        size: side of its images in pixels.
        labels: whether it has the input labels.

    Raises:
        ValueError: the file holds no swap generator.
    """

    def __init__(self, file: Path, device: str = 'cpu'):
        super().__init__(file, device)
        valid = {'target', 'identity'} <= set(self.inputs) <= {'target', 'labels', 'identity'}
        shape = self.inputs.get('target', ())
        if not valid or len(shape) != 4 or not isinstance(shape[2], int):
            raise ValueError(f'{file} holds no swap generator: write one with scripts/export.py')
        self.size, self.labels = shape[2], 'labels' in self.inputs

    def swap(self, target: Tensor, identity: Tensor) -> Tensor:
        """Output of a generator without labels: (B,3,H,W), (B,D) -> (B,3,H,W)."""
        return self(target=target, identity=identity)


class OnnxFamily(Family):
    """A swap family for inference whose generator is an ONNX file. Raises ValueError for a generator without labels."""

    task = 'swap'

    def __init__(self, session: SwapSession, perception: Perception):
        super().__init__(FamilyConfig(size=session.size, weights={}), perception)
        if not session.labels:
            raise ValueError('this ONNX file holds a generator that needs its own crops: name its weights instead, such as '
                             '--weights simswap-224 --runtime onnx')
        self.session = session

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        labels = batch.target_parsing
        if labels is None:
            labels = self.perception.require('parser').labels(batch.target)
        embedding = self.perception.id_encoder(batch.source) if batch.source_embedding is None else batch.source_embedding
        return self.session(target=batch.target, labels=labels, identity=embedding).to(batch.target)
