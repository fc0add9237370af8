"""Mutated weight files: safetensors of families and encoders, PyTorch files, pickled networks, zip archives, ONNX files."""
import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import nn

from experiments.training.state.checkpoint import family_bytes
from models.conversion.convert import halve, read_archive, read_state
from models.conversion.unpickle import read_module
from models.perception.encoder_files import encoder_bytes, initial_encoder, load_encoder, training_identities
from models.perception.encoders.family import Recognizer, RecognizerConfig
from models.pipelines.onnx_export import SwapSession
from models.pipelines.upscaling import Upscaler
from models.registry import build_family, family_name, load_family, load_weights
from models.runtime.sessions import export
from models.weights import ZOO
from tests.contract.stubs import ID_DIM, tiny_perception
from tests.fuzz.contract import check
from tests.fuzz.mutators import TEXT

TINY = {'size': 32, 'widths': [8, 16], 'depth': 1, 'id_dim': ID_DIM}


class _WritesFile:
    """Its pickle names a function that writes a file."""

    def __reduce__(self):
        return Path.write_text, (Path('fuzzed'), 'run')


@pytest.fixture(scope='module')
def family() -> bytes:
    model = build_family('cvae', TINY, tiny_perception())
    return family_bytes('cvae', model.state_dict(), model.config)


def _saved(value) -> bytes:
    data = io.BytesIO()
    torch.save(value, data)
    return data.getvalue()


def _load(path: Path) -> None:
    family_name(path)
    load_family(path, tiny_perception())


def test_families_are_read_or_refused(tmp_path, count, family):
    check('safetensors', family, _load, tmp_path / 'family.safetensors', 3 * count)


def test_families_to_halve_are_read_or_refused(tmp_path, count, family):
    out = tmp_path / 'half.safetensors'
    check('safetensors to halve', family, lambda path: halve(path, out), tmp_path / 'family.safetensors', count)


def test_initial_weights_are_read_or_refused(tmp_path, count, family):
    model = build_family('cvae', TINY, tiny_perception())
    check('--init', family, lambda path: load_weights(model, path), tmp_path / 'family.safetensors', count)


def test_configs_in_families_are_read_or_refused(tmp_path, count):
    """An intact file with a mutated config."""
    with safe_open(ZOO / 'cvae.safetensors', 'pt') as handle:
        metadata = handle.metadata()
    state = load_file(ZOO / 'cvae.safetensors')

    def load(path: Path) -> None:
        file = tmp_path / 'family.safetensors'
        file.write_bytes(save(state, {**metadata, 'config': path.read_bytes().decode('latin-1')}))
        load_family(file, tiny_perception())

    check('config of a family', metadata['config'].encode(), load, tmp_path / 'config.json', 2 * count, TEXT)


def test_encoders_are_read_or_refused(tmp_path, count):
    data = encoder_bytes(Recognizer(RecognizerConfig(weights={'margin': 0.0}), None), ['Ann', 'Bob'])
    size = int.from_bytes(data[:8], 'little')

    def load(path: Path) -> None:
        training_identities(str(path))
        initial_encoder(str(path))
        load_encoder(path)

    def load_with_config(path: Path) -> None:
        file = tmp_path / 'encoder.safetensors'
        file.write_bytes(save(state, {'recognizer': path.read_bytes().decode('latin-1'), 'learned_from': '["Ann"]'}))
        load(file)

    check('encoder', data, load, tmp_path / 'encoder.safetensors', count)
    config = json.loads(data[8:8 + size])['__metadata__']['recognizer']
    (tmp_path / 'encoder.safetensors').write_bytes(data)
    state = load_file(tmp_path / 'encoder.safetensors')
    check('config of an encoder', config.encode(), load_with_config, tmp_path / 'recognizer.json', count, TEXT)


@pytest.mark.parametrize('serialization', ['zip', 'legacy'])
def test_pytorch_files_are_read_or_refused(tmp_path, count, serialization):
    state, data = {'a.weight': torch.zeros(3, 4), 'b.weight': torch.ones(5)}, io.BytesIO()
    torch.save(state, data, _use_new_zipfile_serialization=serialization == 'zip')
    check(f'state dict {serialization}', data.getvalue(), read_state, tmp_path / 'net.pth', 2 * count)


@pytest.mark.parametrize('serialization', ['zip', 'legacy'])
def test_pickled_networks_are_read_or_refused(tmp_path, count, serialization):
    data = io.BytesIO()
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), data, _use_new_zipfile_serialization=serialization == 'zip')
    check(f'module {serialization}', data.getvalue(), read_module, tmp_path / 'net.tar', 2 * count)


def test_archives_are_read_or_refused(tmp_path, count):
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('people/latest_net_G.pth', _saved({'weight': torch.zeros(30)}))
    check('zip', data.getvalue(), read_archive, tmp_path / 'checkpoints.zip', 2 * count)


@pytest.mark.parametrize('read', [read_state, read_module])
def test_pickles_that_name_functions_are_refused(tmp_path, read, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'net.pth').write_bytes(_saved({'weight': torch.zeros(1), 'other': _WritesFile()}))
    with pytest.raises(RuntimeError, match='not read|no PyTorch file'):
        read(tmp_path / 'net.pth')
    assert not (tmp_path / 'fuzzed').exists()


def test_onnx_networks_are_read_or_refused(tmp_path, count):
    class Swap(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, target, identity):
            return self.layer(target) + identity[:, :3, None, None]

    def inputs(batch):
        return {'target': torch.zeros(batch, 3, 16, 16), 'identity': torch.ones(batch, 4)}

    export(Swap(), inputs, 'swap', tmp_path / 'net.onnx')

    def load(path: Path) -> None:
        session = SwapSession(path)
        if session.size == 16:
            session.swap(**inputs(1))

    check('onnx', (tmp_path / 'net.onnx').read_bytes(), load, tmp_path / 'net.onnx', 3 * count)


def test_upscaling_networks_are_read_or_refused(tmp_path, count):
    class Upsample(nn.Module):
        def forward(self, image):
            return nn.functional.interpolate(image, scale_factor=2.0)

    export(Upsample(), lambda batch: {'image': torch.rand(batch, 3, 8, 8)}, 'out', tmp_path / 'up.onnx')
    data = (tmp_path / 'up.onnx').read_bytes()
    check('upscaling', data, lambda path: Upscaler(path)(torch.zeros(3, 8, 8)), tmp_path / 'up.onnx', count)
