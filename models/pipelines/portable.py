"""Swap generators as ONNX files, and such files in the place of a family."""
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.perception.fusion import widened

_TOLERANCE = 1e-3  # largest difference between onnxruntime and PyTorch, for pictures in [-1,1]
_OPSET = 17
Inputs = dict[str, Tensor]


class _FromFamily(nn.Module):
    """A family as a function of tensors: target (B,3,H,W), labels (B,H,W) int64, identity (B,D) -> swap (B,3,H,W)."""

    def __init__(self, family: Family):
        super().__init__()
        self.family = family

    def forward(self, target: Tensor, labels: Tensor, identity: Tensor) -> Tensor:
        same = labels[:, 0, 0] < 0
        return self.family.generate(SwapBatch(target, target, same, target_parsing=labels, source_identity=identity))


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
def export_family(family: Family, file: Path) -> float:
    """Write a family's `generate` as ONNX with the inputs target, labels and identity; the batch may have any size. Returns the
    largest difference between onnxruntime and PyTorch. ValueError where it is above 1e-3, or where the family draws from noise,
    step by step."""
    network, size = _FromFamily(family).eval(), family.config.size
    identity = family.perception.identity(torch.zeros(1, 3, size, size)).shape[1]
    given = _noise(1, size, identity)
    first, second = network(**given), network(**given)
    if not torch.equal(first, second):
        raise ValueError(f'{type(family).__name__} draws from noise step by step and is no single network: '
                         'export a CVAE or a CGAN')
    return _export(network, lambda count: _noise(count, size, identity), file)


def export_generator(generator: nn.Module, file: Path) -> float:
    """The same for a models.cgan.generator.Generator that is told nothing but target and identity, such as the published ones."""
    config = generator.config

    def inputs(count: int) -> Inputs:
        made = _noise(count, config.size, config.identity)
        return {name: made[name] for name in ('target', 'identity')}

    return _export(_FromGenerator(generator).eval(), inputs, file)


@torch.no_grad()
def _export(network: nn.Module, inputs: Callable[[int], Inputs], file: Path) -> float:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial, given = file.with_name(f'{file.name}.partial'), inputs(2)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the tracer warns of every number that it takes for fixed, which all but the batch are
        # The newer exporter wants one more package; this one comes with PyTorch.
        torch.onnx.export(widened(network), tuple(given.values()), str(partial), input_names=list(given), output_names=['swap'],
                          dynamic_axes={name: {0: 'batch'} for name in (*given, 'swap')}, opset_version=_OPSET, dynamo=False)
    other = inputs(3)
    difference = float((Session(partial)(**other) - network(**other)).abs().max())
    if not difference <= _TOLERANCE:
        partial.unlink()
        raise ValueError(f'onnxruntime and PyTorch differ by {difference:.1e}, more than {_TOLERANCE:.0e}: nothing was written')
    partial.replace(file)
    return difference


class Session:
    """A swap generator on onnxruntime: on the GPU where `device` asks for it and onnxruntime can. provider: where it really runs.
    ValueError where the file is none that this module wrote."""

    def __init__(self, file: Path, device: str = 'cpu'):
        import onnxruntime

        if not Path(file).is_file():
            raise ValueError(f'there is no file {file}: write it with `python scripts/export.py -o {file}`')
        wanted = ['CUDAExecutionProvider'] if torch.device(device).type == 'cuda' else []
        wanted = [name for name in wanted if name in onnxruntime.get_available_providers()] + ['CPUExecutionProvider']
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(file), options, providers=wanted)
        except Exception as error:  # onnxruntime's errors have no common base of their own
            raise ValueError(f'{file} cannot be read as ONNX ({" ".join(str(error).split())}): write it again with '
                             'scripts/export.py') from error
        inputs = {given.name: given.shape for given in self.session.get_inputs()}
        if not {'target', 'identity'} <= set(inputs) <= {'target', 'labels', 'identity'}:
            raise ValueError(f'{file} holds no swap generator: write one with scripts/export.py')
        self.provider = self.session.get_providers()[0]
        self.size, self.labels = int(inputs['target'][2]), 'labels' in inputs

    def __call__(self, **inputs: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1], on the CPU."""
        return torch.from_numpy(self.session.run(['swap'], {name: value.cpu().numpy() for name, value in inputs.items()})[0])

    def swap(self, target: Tensor, identity: Tensor) -> Tensor:
        """Of a generator that is told no more: (B,3,H,W), (B,D) -> (B,3,H,W)."""
        return self(target=target, identity=identity)


class PortableFamily(Family):
    """A family whose pictures an ONNX file draws."""

    def __init__(self, session: Session, perception: Perception):
        super().__init__(FamilyConfig(size=session.size), perception)
        if not session.labels:
            raise ValueError('this ONNX file holds a generator that wants its own crops: name its weights instead, such as '
                             '--weights simswap-224 --runtime onnx')
        self.session = session

    @torch.no_grad()
    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        labels = self.perception.parser.labels(batch.target) if batch.target_parsing is None else batch.target_parsing
        identity = self.perception.identity(batch.source) if batch.source_identity is None else batch.source_identity
        return self.session(target=batch.target, labels=labels, identity=identity).to(batch.target)


def opened(write: Callable[[Path], float], device: str = 'cpu') -> Session:
    """The session of a file that `write` writes, which does not outlive this call."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'swap.onnx'
        write(file)
        return Session(file, device)
