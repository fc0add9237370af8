"""Conversion of published weights to safetensors, and reading of pickled networks without running their code."""
import os
import pickle
import sys
import types
import warnings
import zipfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from models import weights
from models.conversion.convert import convert, halve, read_state
from models.conversion.unpickle import read_module


class _Payload:
    """An object whose unpickling would create a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))


@pytest.fixture
def network(monkeypatch):
    """A network whose class is in a module that does not exist when the file is read."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.bn = nn.BatchNorm2d(4)
            self.rest = nn.Sequential(nn.PReLU(4), nn.Linear(4, 2, bias=False))
            self.rest[1].weight.data = torch.randn(4, 2).t()  # a view with other strides
            self.register_buffer('non_persistent', torch.ones(2), persistent=False)

    foreign = types.ModuleType('models.arcface_models')
    Net.__module__, Net.__qualname__, foreign.Net = foreign.__name__, 'Net', Net
    monkeypatch.setitem(sys.modules, foreign.__name__, foreign)
    return Net().requires_grad_()


def _save(content, file, old=False):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # PyTorch does not find the source of the class
        torch.save(content, file, _use_new_zipfile_serialization=not old)
    return file


@pytest.mark.parametrize('old', [False, True], ids=['zip format', 'old format'])
@pytest.mark.parametrize('wrapped', [False, True], ids=['bare', 'in a dict, data parallel'])
def test_pickled_network_is_read_without_its_code(network, tmp_path, monkeypatch, old, wrapped):
    content = {'epoch': 3, 'model': nn.DataParallel(network)} if wrapped else network
    file = _save(content, tmp_path / 'net.tar', old)
    monkeypatch.delitem(sys.modules, 'models.arcface_models')
    state = read_module(file)
    expected = network.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert 'models.arcface_models' not in sys.modules


@pytest.mark.parametrize('old', [False, True], ids=['zip format', 'old format'])
def test_pickle_with_a_call_is_rejected_without_calling(network, tmp_path, old):
    network.extra = _Payload(str(tmp_path / 'created by the file'))
    file = _save(network, tmp_path / 'net.tar', old)
    with pytest.raises(weights.WeightsError, match='mkdir'):
        read_module(file)
    assert not (tmp_path / 'created by the file').exists()


@pytest.mark.parametrize('content', [b'', b'not a PyTorch file', pickle.dumps({'model': 3}, 2)])
def test_other_files_raise(tmp_path, content):
    file = tmp_path / 'net.tar'
    file.write_bytes(content)
    for read in (read_module, read_state):
        with pytest.raises(weights.WeightsError, match='net.tar'):
            read(file)


def test_convert_requires_unpickle_for_a_pickled_network(network, tmp_path):
    file = _save(network, tmp_path / 'arcface_checkpoint.tar')
    with pytest.raises(weights.WeightsError, match='--unpickle'):
        convert('simswap-arcface', source=file)
    written, = convert('simswap-arcface', source=file, unpickle=True)
    with safe_open(written, 'pt') as handle:
        assert handle.metadata()['license'] == 'CC BY-NC 4.0'
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in read_state(written).items())


def test_convert_reads_the_member_without_prefix(tmp_path):
    state = {'module.conv.weight': torch.randn(2, 3), 'module.bn.num_batches_tracked': torch.tensor(7)}
    file = _save({'epoch': 68, 'net_state_dict': state}, tmp_path / '068.ckpt')
    written, = convert('mobilefacenet-068', source=file, out=tmp_path / 'out/net.safetensors')
    converted = read_state(written)
    assert set(converted) == {'conv.weight', 'bn.num_batches_tracked'}
    assert torch.equal(converted['conv.weight'], state['module.conv.weight'])


def test_convert_extracts_the_generators_of_an_archive(tmp_path):
    inner = _save({'up.weight': torch.randn(3)}, tmp_path / 'inner.pth')
    with zipfile.ZipFile(tmp_path / '512.zip', 'w') as archive:
        archive.write(inner, '512/550000_net_G.pth')
        archive.writestr('512/readme.txt', 'nothing')
    written, = convert('simswap-512', source=tmp_path / '512.zip')
    assert torch.equal(read_state(written)['up.weight'], read_state(inner)['up.weight'])


def test_convert_rejects_other_formats(tmp_path):
    (tmp_path / 'pfld_68.onnx').write_bytes(b'anything')
    with pytest.raises(weights.WeightsError, match='wrong sha256'):
        convert('pfld-68')
    with pytest.raises(weights.WeightsError, match='needs no conversion'):
        convert('pfld-68', source=tmp_path / 'pfld_68.onnx')
    with pytest.raises(weights.WeightsError, match='--source'):
        convert('sphere20a', source=tmp_path / 'absent.pth')


def test_halve_preserves_metadata_and_values(tmp_path):
    state = {'weight': torch.randn(4, 4), 'count': torch.tensor(3)}
    save_file(state, tmp_path / 'run.safetensors', {'family': 'cvae'})
    halve(tmp_path / 'run.safetensors', tmp_path / 'zoo.safetensors')
    with safe_open(tmp_path / 'zoo.safetensors', 'pt') as handle:
        assert handle.metadata() == {'family': 'cvae'}
        halved = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - a handle is no mapping
    assert halved['weight'].dtype == torch.float16 and halved['count'] == 3
    torch.testing.assert_close(halved['weight'].float(), state['weight'], rtol=1e-3, atol=1e-4)


def test_halve_rejects_other_files(tmp_path):
    (tmp_path / 'run.pt').write_bytes(b'no')
    with pytest.raises(weights.WeightsError, match='no safetensors file'):
        halve(tmp_path / 'run.pt', tmp_path / 'zoo.safetensors')
