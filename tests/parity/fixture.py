"""Parity fixtures: outputs of published networks with deterministic weights and inputs, sampled from one stream per name.

Fixtures have two formats. Manifests of the first contain the rule of each entry and the range of the inputs. In the second, the
rule follows from name and shape (`rule_of`), images are uniform in [-1,1], a network smaller than the published one has a
manifest_fixture.json, and large outputs are stored with a stride in their key (`out__sub2`).
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
    """The random stream of a name."""
    return np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], 'little'))


def rule_of(name: str, shape: list[int], dtype: str) -> str:
    """The rule of an entry without one in the manifest; 'kept' for constants that the network computes."""
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


def sample(name: str, shape: list[int], rule: str) -> np.ndarray:
    """The value of a state_dict entry: its rule applied to its stream."""
    rng = stream(name)
    if rule == 'int':
        return np.zeros(shape, np.int64)
    if rule == 'matrix':
        return rng.standard_normal(shape).astype(np.float32) * np.float32(1 / np.sqrt(np.prod(shape[1:])))
    if rule == 'var':
        return (0.5 + rng.random(shape)).astype(np.float32)
    normal = rng.standard_normal(shape)
    if rule == 'rho':
        return np.clip(0.5 + 0.1 * normal, 0, 1).astype(np.float32)
    if rule == 'sn_vector':
        return (normal / np.linalg.norm(normal)).astype(np.float32)
    center, spread = {'scalar': (1, 0.1), 'scale': (1, 0.1), 'prelu': (0.25, 0.02), 'mean': (0, 0.1), 'bias': (0, 0.1)}[rule]
    return np.asarray(center + spread * normal, np.float32)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file. NAME__subS or NAME__subScC, every S-th pixel and every C-th channel of a large output, becomes NAME
    and NAME__stride."""
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
    """Outputs of a network, with its config and the rules of its weights and inputs."""

    folder: Path
    config: dict                   # of the manifest
    entries: dict                  # of the state dict: name -> shape, dtype, rule
    arrays: dict[str, np.ndarray]  # outputs and their statistics
    input_stream: str              # name of the stream of the inputs

    @classmethod
    def read(cls, folder: Path, input_stream: str, name: str = 'fixture') -> 'Fixture':
        """Read a fixture of a folder; functions without weights have no manifest."""
        manifests = [path for path in (folder / f'manifest_{name}.json', folder / 'manifest.json') if path.is_file()]
        manifest = json.loads(manifests[0].read_text()) if manifests else {'config': {}, 'entries': {}}
        return cls(folder, manifest['config'], manifest['entries'], _read(folder / f'{name}.npz'), input_stream)

    def tensor(self, key: str) -> Tensor:
        """An array as a tensor."""
        return torch.from_numpy(self.arrays[key])

    def uniform(self, shape: list[int], name: str = '', low: float = -1, high: float = 1) -> Tensor:
        """Uniform values from the input stream, or from its sub-stream `name`."""
        return torch.from_numpy((low + (high - low) * self.stream(name).random(shape)).astype(np.float32))

    def normal(self, shape: list[int], name: str = '') -> Tensor:
        """Standard normal values from the input stream, or from its sub-stream `name`."""
        return torch.from_numpy(self.stream(name).standard_normal(shape).astype(np.float32))

    def stream(self, name: str = '') -> np.random.Generator:
        """The input stream, or its sub-stream `name`."""
        return stream(f'{self.input_stream}:{name}' if name else self.input_stream)

    def shapes(self) -> list[list[int]]:
        """Shapes of the inputs."""
        shapes = self.config.get('fixture_inputs') or [self.config.get('fixture_input') or self.config['input']]
        return [list(self.arrays.get('input_shape', shapes[0])), *shapes[1:]]

    def inputs(self) -> list[Tensor]:
        """An image from the input stream, uniform in config.input_range, and unit latents from the sub-stream `latent`."""
        low, high = self.config.get('input_range', (-1, 1))
        first, *latents = self.shapes()
        inputs = [self.uniform(first, low=low, high=high)]
        for shape in latents:
            latent = self.stream('latent').standard_normal(shape)
            inputs.append(torch.from_numpy((latent / np.linalg.norm(latent)).astype(np.float32)))
        return inputs

    def weights(self) -> dict[str, Tensor]:
        """The deterministic state dict without the constants that a network computes; weights in `arrays` (of heads) replace the
        rules."""
        values = {}
        for name, entry in self.entries.items():
            rule = entry.get('rule') or rule_of(name, entry['shape'], entry['dtype'])
            if name in self.arrays:
                values[name] = self.tensor(name)
            elif rule != 'kept':
                values[name] = torch.from_numpy(sample(name, entry['shape'], rule))
        return values

    def outputs(self) -> list[str]:
        """Names of the arrays that the network must reproduce."""
        return [key for key in self.arrays if '__' not in key and key not in NOT_OUTPUTS]


def first_difference(network: nn.Module, fixture: Fixture) -> str:
    """A message with the first inner module, in order of the fixture, whose output differs in mean, deviation or maximum."""
    statistics = {}

    def record(name):
        def hook(module, inputs, output):
            if isinstance(output, Tensor) and name not in statistics:
                value = output.double()
                statistics[name] = np.array([value.mean(), value.std(correction=0), value.abs().max()])
        return hook

    names = [str(name) for name in fixture.arrays.get('stage_names', [])]
    modules = dict(network.named_modules())
    hooks = [modules[name].register_forward_hook(record(name)) for name in names if name in modules]
    with torch.no_grad():
        network(*fixture.inputs())
    for hook in hooks:
        hook.remove()
    for name, stats in zip(names, fixture.arrays.get('stage_stats', [])):
        if name in statistics and np.abs(statistics[name] - stats).max() > 1e-5 * stats[2]:
            return f'the first inner module that differs is {name}'
    return 'no inner module of the fixture differs'
