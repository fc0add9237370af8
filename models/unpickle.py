"""The tensors of a pickled whole network, taken out without running any of its code.

Unpickling may call whatever a file names, so nothing is looked up here but containers and PyTorch's own description of a
tensor. Each class of a network that the file names is replaced by an empty stand-in, which holds attributes and does nothing;
the parameters and buffers are collected from the stand-ins. Anything else that the file names is an error.
"""
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from configs.reading import shown
from models.weights import WeightsError

_MAX_BYTES = 2 << 30  # of one member of an archive
# Packages whose classes become stand-ins.
_NETWORKS = ('torch.nn.', 'models.arcface_models.')
_DTYPES = {'FloatStorage': torch.float32, 'DoubleStorage': torch.float64, 'HalfStorage': torch.float16,
           'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32, 'ShortStorage': torch.int16,
           'CharStorage': torch.int8, 'ByteStorage': torch.uint8, 'BoolStorage': torch.bool}


class _StandIn:
    """Holds what a pickled object held."""

    def __new__(cls, *args):
        return super().__new__(cls)


def _tensor(flat: Tensor, offset: int, size: tuple, stride: tuple, *unused) -> Tensor:
    if math.prod(size) > flat.numel():
        raise ValueError('a tensor is larger than what is stored of it')
    return flat.as_strided(size, stride, offset)


def _parameter(tensor: Tensor, *unused) -> Tensor:
    return tensor


_CONTAINERS = {'collections.OrderedDict': OrderedDict, '__builtin__.set': set, 'builtins.set': set,
               'torch._utils._rebuild_tensor_v2': _tensor, 'torch._utils._rebuild_parameter': _parameter,
               **{f'torch.{name}': dtype for name, dtype in _DTYPES.items()}}


class _Reader(pickle.Unpickler):
    """Knows tensors, containers and stand-ins; `storage(key, dtype, count)` gives the flat tensor of a key."""

    def __init__(self, stream: BinaryIO, storage):
        super().__init__(stream)
        self.storage = storage

    def find_class(self, module: str, name: str):
        full = f'{module}.{name}'
        if full in _CONTAINERS:
            return _CONTAINERS[full]
        if full.startswith(_NETWORKS):
            return type(name, (_StandIn,), {'__module__': module})
        raise WeightsError(f'the file names {shown(full)}, which is no part of a network that the suite knows: it is not read')

    def persistent_load(self, reference: tuple):
        kind, what, *rest = reference
        if kind == 'module':  # before PyTorch 1.6 a class came with its source
            return what
        key, _, count = rest[:3]
        return self.storage(key, what, count)


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member of an archive; WeightsError where it is larger than any network of the suite."""
    size = archive.getinfo(name).file_size
    if size > _MAX_BYTES:
        raise WeightsError(f'its member {shown(name)} has {size >> 20} MB')
    return archive.read(name)


def _read_zip(file: Path):
    """PyTorch 1.6 and later: a zip archive of one pickle and one member per storage."""
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith('/data.pkl')]
        if len(pickles) != 1:
            raise WeightsError(f'{file} is an archive, but no PyTorch file: fetch it again')
        folder = pickles[0].removesuffix('data.pkl')
        flats = {}

        def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            if key not in flats:
                flats[key] = torch.frombuffer(bytearray(read_member(archive, f'{folder}data/{key}')), dtype=dtype)
            return flats[key]

        with archive.open(pickles[0]) as stream:
            return _Reader(stream, storage).load()


def _read_old(file: Path):
    """Before PyTorch 1.6: magic number, version, system, content, names of the storages, then their bytes."""
    flats = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        return flats.setdefault(key, torch.empty(count, dtype=dtype))

    with file.open('rb') as stream:
        *_, content, keys = [_Reader(stream, storage).load() for _ in range(5)]
        for key in keys:
            count, = struct.unpack('<q', stream.read(8))
            flat = flats[key]
            if count != len(flat):
                raise WeightsError(f'{file} says two things about the size of a tensor: fetch it again')
            flat.copy_(torch.frombuffer(bytearray(stream.read(count * flat.element_size())), dtype=flat.dtype))
    return content


def _collect(module: _StandIn, prefix: str = '') -> dict[str, Tensor]:
    """The state dict of a stand-in for a network: its parameters, persistent buffers and submodules."""
    held = vars(module)
    passing = held.get('_non_persistent_buffers_set', ())
    buffers = {name: value for name, value in held.get('_buffers', {}).items() if name not in passing}
    state = {prefix + name: value for name, value in {**held.get('_parameters', {}), **buffers}.items()
             if isinstance(value, Tensor)}
    for name, child in held.get('_modules', {}).items():
        if isinstance(child, _StandIn):
            state |= _collect(child, f'{prefix}{name}.')
    return state


def read_module(file: Path) -> dict[str, Tensor]:
    """The state dict of a pickled network, or of the one under the key `model`, without a leading `module.`.

    WeightsError names the first thing in the file that is neither a tensor, a container nor part of a known network.
    """
    file = Path(file)
    try:
        found = _read_zip(file) if zipfile.is_zipfile(file) else _read_old(file)
        found = found.get('model') if isinstance(found, dict) else found
        state = _collect(found) if isinstance(found, _StandIn) else {}
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle makes its reader raise anything
        raise WeightsError(f'{file} cannot be read as a PyTorch file ({shown(error)}): fetch it again') from error
    if not state:
        raise WeightsError(f'{file} holds no pickled network: give the file that the table of weights means')
    return {name.removeprefix('module.'): value for name, value in state.items()}
