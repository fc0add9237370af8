"""Parity fixtures: deterministic weights and inputs, one numpy random stream per name, with stored outputs.

Manifests come in two forms. The first names the distribution of each entry (key `rule`) and the range of the inputs. In the
second, the distribution follows from name and shape (`distribution`), images are uniform in [-1,1], a network smaller than the
published one has its own manifest_fixture.json, and large outputs are stored with a stride in their key (`out__sub2`).
"""
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

NOT_OUTPUTS = {'input_shape', 'input_head', 'weights_sum', 'weights_abs_sum', 'stage_names', 'stage_shapes', 'stage_stats',
               'inst_8x8'}


def stream(name: str) -> np.random.Generator:
    """Random generator seeded with the SHA-256 of a name."""
    return np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], 'little'))


def distribution(name: str, shape: list[int], dtype: str) -> str:
    """Distribution of an entry without `rule` in its manifest; 'kept' for buffers that the network computes."""
    last = name.rpartition('.')[2]
    if last in ('rho', 'filt'):
        return {'rho': 'rho', 'filt': 'kept'}[last]
    if not dtype.startswith('float'):
        return 'int'
    if len(shape) >= 2:
        return 'matrix'
    if len(shape) == 1 and last in ('weight_u', 'weight_v'):
        return 'sn_vector'
    endings = {'running_var': 'var', 'running_mean': 'mean', 'weight': 'scale'} if len(shape) == 1 else {}
    return next((rule for ending, rule in endings.items() if name.endswith(ending)), 'bias')


def sample_entry(name: str, shape: list[int], rule: str) -> np.ndarray:
    """Value of a state_dict entry: a sample of its distribution from the stream of its name."""
    random = stream(name)
    if rule == 'int':
        return np.zeros(shape, np.int64)
    if rule == 'matrix':
        return random.standard_normal(shape).astype(np.float32) * np.float32(1 / np.sqrt(np.prod(shape[1:])))
    if rule == 'var':
        return (0.5 + random.random(shape)).astype(np.float32)
    normal = random.standard_normal(shape)
    if rule == 'rho':
        return np.clip(0.5 + 0.1 * normal, 0, 1).astype(np.float32)
    if rule == 'sn_vector':
        return (normal / np.linalg.norm(normal)).astype(np.float32)
    center, spread = {'scalar': (1, 0.1), 'scale': (1, 0.1), 'prelu': (0.25, 0.02), 'mean': (0, 0.1), 'bias': (0, 0.1)}[rule]
    return np.asarray(center + spread * normal, np.float32)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a fixture by name. A strided array is stored as NAME__subS or NAME__subScC (every S-th pixel, every C-th
    channel) and returned as NAME, with NAME__stride."""
    with np.load(path) as file:
        arrays = dict(file)
    for key in list(arrays):
        if part := re.fullmatch(r'(.+)__sub(\d+)(?:c(\d+))?', key):
            name, pixels, channels = part[1], int(part[2]), int(part[3] or 1)
            arrays[name] = arrays.pop(key)
            arrays[f'{name}__stride'] = np.array([1, channels, pixels, pixels])
    return arrays


@dataclass(frozen=True)
class Fixture:
    """Fixture of a folder: manifest, stored arrays, and the inputs and weights that they were computed with."""

    folder: Path
    config: dict
    entries: dict
    arrays: dict[str, np.ndarray]
    input_stream: str

    @classmethod
    def read(cls, folder: Path, input_stream: str, name: str = 'fixture') -> 'Fixture':
        manifests = [path for path in (folder / f'manifest_{name}.json', folder / 'manifest.json') if path.is_file()]
        # Functions without weights have no manifest.
        manifest = json.loads(manifests[0].read_text()) if manifests else {'config': {}, 'entries': {}}
        return cls(folder, manifest['config'], manifest['entries'], _read(folder / f'{name}.npz'), input_stream)

    def tensor(self, key: str) -> Tensor:
        return torch.from_numpy(self.arrays[key])

    def uniform(self, shape: list[int], name: str = '', low: float = -1, high: float = 1) -> Tensor:
        """Uniform values in [low, high) from the input stream, or from the stream INPUT_STREAM:NAME."""
        return torch.from_numpy((low + (high - low) * self.stream(name).random(shape)).astype(np.float32))

    def normal(self, shape: list[int], name: str = '') -> Tensor:
        """Standard normal values from the input stream, or from the stream INPUT_STREAM:NAME."""
        return torch.from_numpy(self.stream(name).standard_normal(shape).astype(np.float32))

    def stream(self, name: str = '') -> np.random.Generator:
        return stream(f'{self.input_stream}:{name}' if name else self.input_stream)

    def shapes(self) -> list[list[int]]:
        """Shapes of the inputs."""
        shapes = self.config.get('fixture_inputs') or [self.config.get('fixture_input') or self.config['input']]
        return [list(self.arrays.get('input_shape', shapes[0])), *shapes[1:]]

    def inputs(self) -> list[Tensor]:
        """An image from the input stream, uniform in config.input_range, then unit-length latents from INPUT_STREAM:latent."""
        low, high = self.config.get('input_range', (-1, 1))
        first, *latents = self.shapes()
        inputs = [self.uniform(first, low=low, high=high)]
        for shape in latents:
            latent = self.stream('latent').standard_normal(shape)
            inputs.append(torch.from_numpy((latent / np.linalg.norm(latent)).astype(np.float32)))
        return inputs

    def weights(self) -> dict[str, Tensor]:
        """Deterministic state dict without computed buffers. Weights that the fixture stores (those of heads) take precedence."""
        values = {}
        for name, entry in self.entries.items():
            rule = entry.get('rule') or distribution(name, entry['shape'], entry['dtype'])
            if name in self.arrays:
                values[name] = self.tensor(name)
            elif rule != 'kept':
                values[name] = torch.from_numpy(sample_entry(name, entry['shape'], rule))
        return values

    def outputs(self) -> list[str]:
        """Names of the arrays that the network must reproduce."""
        return [key for key in self.arrays if '__' not in key and key not in NOT_OUTPUTS]


def first_difference(network: nn.Module, fixture: Fixture) -> str:
    """Sentence with the first inner module, in the order of the fixture, whose output statistics differ."""
    statistics = {}

    def recorder(name):
        def hook(module, inputs, output):
            if isinstance(output, Tensor) and name not in statistics:
                value = output.double()
                statistics[name] = np.array([value.mean(), value.std(correction=0), value.abs().max()])
        return hook

    names = [str(name) for name in fixture.arrays.get('stage_names', [])]
    modules = dict(network.named_modules())
    hooks = [modules[name].register_forward_hook(recorder(name)) for name in names if name in modules]
    with torch.no_grad():
        network(*fixture.inputs())
    for hook in hooks:
        hook.remove()
    for name, stats in zip(names, fixture.arrays.get('stage_stats', [])):
        if name in statistics and np.abs(statistics[name] - stats).max() > 1e-5 * stats[2]:
            return f'the first inner module that differs is {name}'
    return 'no inner module with stored statistics differs'
