"""Deterministic weights and inputs, drawn from one numpy stream per name, and the fixtures that were computed with them."""
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

NOT_OUTPUTS = {'input_shape', 'input_head', 'weights_sum', 'weights_abs_sum', 'stage_names', 'stage_shapes', 'stage_stats'}


def stream(name: str) -> np.random.Generator:
    """The random stream that belongs to a name."""
    return np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], 'little'))


def draw(name: str, shape: list[int], rule: str) -> np.ndarray:
    """The value of one state_dict entry: its rule applied to its own stream."""
    random = stream(name)
    if rule == 'int':
        return np.zeros(shape, np.int64)
    if rule == 'matrix':
        return random.standard_normal(shape).astype(np.float32) * np.float32(1 / np.sqrt(np.prod(shape[1:])))
    if rule == 'var':
        return (0.5 + random.random(shape)).astype(np.float32)
    normal = random.standard_normal(shape)
    if rule == 'sn_vector':
        return (normal / np.linalg.norm(normal)).astype(np.float32)
    centre, spread = {'scalar': (1, 0.1), 'scale': (1, 0.1), 'prelu': (0.25, 0.02), 'mean': (0, 0.1), 'bias': (0, 0.1)}[rule]
    return np.asarray(centre + spread * normal, np.float32)


@dataclass(frozen=True)
class Facts:
    """One folder: its manifest, and one of its fixtures with the inputs that belong to it."""

    folder: Path
    config: dict
    entries: dict
    fixture: dict[str, np.ndarray]
    input_stream: str

    @classmethod
    def read(cls, folder: Path, input_stream: str, fixture: str = 'fixture') -> 'Facts':
        manifest = json.loads((folder / 'manifest.json').read_text())
        with np.load(folder / f'{fixture}.npz') as file:
            return cls(folder, manifest['config'], manifest['entries'], dict(file), input_stream)

    def tensor(self, key: str) -> Tensor:
        return torch.from_numpy(self.fixture[key])

    def inputs(self) -> list[Tensor]:
        """A picture from the input stream, uniform in config.input_range, then unit-length latents from NAME:latent."""
        low, high = self.config['input_range']
        first, *latents = self.config['fixture_inputs']
        picture = low + (high - low) * stream(self.input_stream).random(self.fixture.get('input_shape', first))
        inputs = [picture]
        for shape in latents:
            latent = stream(f'{self.input_stream}:latent').standard_normal(shape)
            inputs.append(latent / np.linalg.norm(latent))
        return [torch.from_numpy(value.astype(np.float32)) for value in inputs]

    def weights(self) -> dict[str, Tensor]:
        """The deterministic state dict; a fixture that brings its own weights (the heads) uses those."""
        return {name: self.tensor(name) if name in self.fixture else torch.from_numpy(draw(name, entry['shape'], entry['rule']))
                for name, entry in self.entries.items()}

    def outputs(self) -> list[str]:
        """Names of the arrays that the network must reproduce."""
        return [key for key in self.fixture if '__' not in key and key not in NOT_OUTPUTS]


def first_difference(network: nn.Module, facts: Facts) -> str:
    """The first inner module, in order of the fixture, whose output has another mean, deviation or maximum: for messages."""
    seen = {}

    def note(name):
        def hook(module, inputs, output):
            if isinstance(output, Tensor) and name not in seen:
                value = output.double()
                seen[name] = np.array([value.mean(), value.std(correction=0), value.abs().max()])
        return hook

    names = [str(name) for name in facts.fixture.get('stage_names', [])]
    modules = dict(network.named_modules())
    hooks = [modules[name].register_forward_hook(note(name)) for name in names if name in modules]
    with torch.no_grad():
        network(*facts.inputs())
    for hook in hooks:
        hook.remove()
    for name, stats in zip(names, facts.fixture.get('stage_stats', [])):
        if name in seen and np.abs(seen[name] - stats).max() > 1e-5 * stats[2]:
            return f'the first inner module that differs is {name}'
    return 'no inner module that the fixture knows differs'
