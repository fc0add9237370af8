"""Swap generators as ONNX files, and such files in the place of a family."""
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.runtime.sessions import Inputs, Session, export


class _FromFamily(nn.Module):
    """A family as a function of tensors: target (B,3,H,W), labels (B,H,W) int64, identity (B,D) -> swap (B,3,H,W)."""

    def __init__(self, family: Family):
        super().__init__()
        self.family = family

    def forward(self, target: Tensor, labels: Tensor, identity: Tensor) -> Tensor:
        same = labels[:, 0, 0] < 0
        return self.family.generate(SwapBatch(target, target, same, target_parsing=labels, source_embedding=identity))


class _FromGenerator(nn.Module):
    """A generator that needs no conditions, likewise: target, identity -> swap."""

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator

    def forward(self, target: Tensor, identity: Tensor) -> Tensor:
        return self.generator.swap(target, identity)


def _noise(count: int, size: int, length: int) -> Inputs:
    random = torch.Generator().manual_seed(count)
    return {'target': torch.rand(count, 3, size, size, generator=random) * 2 - 1,
            'labels': torch.randint(len(PARTS), (count, size, size), generator=random),
            'identity': F.normalize(torch.randn(count, length, generator=random))}


@torch.no_grad()
def onnx_inputs(family: Family, batch: SwapBatch) -> Inputs:
    """What the exported form of a family is given to draw a batch."""
    return {'target': batch.target, 'labels': family.perception.parser.labels(batch.target),
            'identity': family.perception.id_encoder(batch.source)}


@torch.no_grad()
def export_family(family: Family, file: Path) -> float:
    """Write a family's `generate` as ONNX with the inputs target, labels and identity; the batch may have any size. Returns the
    largest difference between onnxruntime and PyTorch. ValueError where it is above 1e-3, or where the family draws from noise,
    step by step."""
    network, size = _FromFamily(family).eval(), family.config.size
    identity = family.perception.id_encoder(torch.zeros(1, 3, size, size)).shape[1]
    given = _noise(1, size, identity)
    first, second = network(**given), network(**given)
    if not torch.equal(first, second):
        raise ValueError(f'{type(family).__name__} draws from noise step by step and is no single network: '
                         'export a CVAE or a CGAN')
    return export(network, lambda count: _noise(count, size, identity), 'swap', file)


def export_generator(generator: nn.Module, file: Path) -> float:
    """The same for a models.cgan.generator.Generator that is told nothing but target and identity, such as the published ones."""
    config = generator.config

    def inputs(count: int) -> Inputs:
        made = _noise(count, config.size, config.id_dim)
        return {name: made[name] for name in ('target', 'identity')}

    return export(_FromGenerator(generator), inputs, 'swap', file)


class SwapSession(Session):
    """A swap generator. size: side of its images. labels: whether it is told the parsing. ValueError where the file holds
    none."""

    def __init__(self, file: Path, device: str = 'cpu'):
        super().__init__(file, device)
        known = {'target', 'identity'} <= set(self.inputs) <= {'target', 'labels', 'identity'}
        shape = self.inputs.get('target', ())
        if not known or len(shape) != 4 or not isinstance(shape[2], int):
            raise ValueError(f'{file} holds no swap generator: write one with scripts/export.py')
        self.size, self.labels = shape[2], 'labels' in self.inputs

    def swap(self, target: Tensor, identity: Tensor) -> Tensor:
        """Of a generator that is told no more: (B,3,H,W), (B,D) -> (B,3,H,W)."""
        return self(target=target, identity=identity)


class OnnxFamily(Family):
    """A family whose images an ONNX file draws."""

    task = 'swap'

    def __init__(self, session: SwapSession, perception: Perception):
        super().__init__(FamilyConfig(size=session.size), perception)
        if not session.labels:
            raise ValueError('this ONNX file holds a generator that wants its own crops: name its weights instead, such as '
                             '--weights simswap-224 --runtime onnx')
        self.session = session

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        labels = self.perception.parser.labels(batch.target) if batch.target_parsing is None else batch.target_parsing
        identity = self.perception.id_encoder(batch.source) if batch.source_embedding is None else batch.source_embedding
        return self.session(target=batch.target, labels=labels, identity=identity).to(batch.target)

