"""State dicts of pickled networks, without running the code in the file.

Unpickling can call any function that a file names. This reader resolves containers and PyTorch's tensor constructors only;
network classes become empty stand-ins, whose parameters and buffers are collected. Any other name is an error.
"""
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from configs.reading import shown
from models.weights import WeightsError

_MAX_BYTES = 2 << 30  # of one member of an archive
_NETWORK_PREFIXES = ('torch.nn.', 'models.arcface_models.')  # of classes that become stand-ins
_DTYPES = {'FloatStorage': torch.float32, 'DoubleStorage': torch.float64, 'HalfStorage': torch.float16,
           'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32, 'ShortStorage': torch.int16,
           'CharStorage': torch.int8, 'ByteStorage': torch.uint8, 'BoolStorage': torch.bool}


class _StandIn:
    """Holds the attributes of an unpickled network."""

    def __new__(cls, *args: object) -> '_StandIn':
        return super().__new__(cls)


def _tensor(flat: Tensor, offset: int, size: tuple, stride: tuple, *unused: object) -> Tensor:
    if math.prod(size) > flat.numel():
        raise ValueError('a tensor is larger than its storage')
    return flat.as_strided(size, stride, offset)


def _parameter(tensor: Tensor, *unused: object) -> Tensor:
    return tensor


_CONTAINERS: dict[str, Any] = {'collections.OrderedDict': OrderedDict, '__builtin__.set': set, 'builtins.set': set,
                               'torch._utils._rebuild_tensor_v2': _tensor, 'torch._utils._rebuild_parameter': _parameter,
                               **{f'torch.{name}': dtype for name, dtype in _DTYPES.items()}}


class _Reader(pickle.Unpickler):
    """Unpickler of tensors, containers and stand-ins.

    Args:
        stream: of the pickle.
        storage: (key, dtype, number of elements) -> flat tensor.
    """

    def __init__(self, stream: IO[bytes], storage: Callable[[str, torch.dtype, int], Tensor]):
        super().__init__(stream)
        self.storage = storage

    def find_class(self, module: str, name: str) -> object:
        full = f'{module}.{name}'
        if full in _CONTAINERS:
            return _CONTAINERS[full]
        if full.startswith(_NETWORK_PREFIXES):
            return type(name, (_StandIn,), {'__module__': module})
        raise WeightsError(f'the file names {shown(full)}, which is no part of a supported network: it is not read')

    def persistent_load(self, reference: tuple) -> object:
        kind, value, *rest = reference
        if kind == 'module':  # before PyTorch 1.6, a class with its source
            return value
        key, _, count = rest[:3]
        return self.storage(key, value, count)


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member of an archive. Raises WeightsError above _MAX_BYTES."""
    size = archive.getinfo(name).file_size
    if size > _MAX_BYTES:
        raise WeightsError(f'the member {shown(name)} of the archive has {size >> 20} MB')
    return archive.read(name)


def _read_zip(file: Path) -> Any:
    """PyTorch 1.6 and later: a zip archive of one pickle and one member per storage."""
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith('/data.pkl')]
        if len(pickles) != 1:
            raise WeightsError(f'{file} is an archive, but no PyTorch file: fetch it again')
        folder = pickles[0].removesuffix('data.pkl')
        flats: dict[str, Tensor] = {}

        def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            if key not in flats:
                flats[key] = torch.frombuffer(bytearray(read_member(archive, f'{folder}data/{key}')), dtype=dtype)
            return flats[key]

        with archive.open(pickles[0]) as stream:
            return _Reader(stream, storage).load()


def _read_legacy(file: Path) -> Any:
    """Before PyTorch 1.6: magic number, version, system, content, keys of the storages, then their bytes."""
    flats: dict[str, Tensor] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        return flats.setdefault(key, torch.empty(count, dtype=dtype))

    with file.open('rb') as stream:
        *_, content, keys = [_Reader(stream, storage).load() for _ in range(5)]
        for key in keys:
            count, = struct.unpack('<q', stream.read(8))
            flat = flats[key]
            if count != len(flat):
                raise WeightsError(f'{file} has contradictory sizes of a tensor: fetch it again')
            flat.copy_(torch.frombuffer(bytearray(stream.read(count * flat.element_size())), dtype=flat.dtype))
    return content


def _collect(module: _StandIn, prefix: str = '') -> dict[str, Tensor]:
    """State dict of a stand-in: parameters, persistent buffers and submodules."""
    attributes = vars(module)
    non_persistent = attributes.get('_non_persistent_buffers_set', ())
    buffers = {name: value for name, value in attributes.get('_buffers', {}).items() if name not in non_persistent}
    state = {prefix + name: value for name, value in {**attributes.get('_parameters', {}), **buffers}.items()
             if isinstance(value, Tensor)}
    for name, child in attributes.get('_modules', {}).items():
        if isinstance(child, _StandIn):
            state |= _collect(child, f'{prefix}{name}.')
    return state


def read_module(file: Path) -> dict[str, Tensor]:
    """State dict of a pickled network, or of the one under the key `model`, without the prefix `module.`.

    Raises WeightsError for a damaged file, or one with an object that is neither a tensor, a container nor part of a supported
    network.
    """
    file = Path(file)
    try:
        content = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
        network = content.get('model') if isinstance(content, dict) else content
        state = _collect(network) if isinstance(network, _StandIn) else {}
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle raises any exception
        raise WeightsError(f'{file} cannot be read as a PyTorch file ({shown(error)}): fetch it again') from error
    if not state:
        raise WeightsError(f'{file} holds no pickled network: give the file named in the table of weights')
    return {name.removeprefix('module.'): value for name, value in state.items()}
