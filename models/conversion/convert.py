"""Reading of published weights and conversion to safetensors. Writes safetensors files."""
import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from configs.reading import shown
from models.conversion.unpickle import read_member, read_module
from models.storage.files import write_bytes
from models.weights import Entry, WeightsError, entry, path, verify


def _load(file: Path | io.BytesIO) -> Any:
    """Content of a PyTorch file. Raises WeightsError for another file, or one with other objects than tensors and containers."""
    try:
        return torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged pickle raises any exception
        raise WeightsError(f'{file if isinstance(file, Path) else "the archive"} is no PyTorch file, or holds more than named '
                           'tensors: give the file named in the table of weights') from error


def _tensors(content: object, file: Path | str) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f'{file} holds no state dict where one is expected: give the file named in the table of weights')
    return {name.removeprefix('module.'): value for name, value in content.items()}


def read_state(file: Path, member: str | None = None) -> dict[str, Tensor]:
    """Named tensors of a safetensors or PyTorch file, without the prefix `module.`.

    member: key of the state dict in a PyTorch file; None for the top. Raises WeightsError if the file cannot be read.
    """
    file = Path(file)
    if file.suffix == '.safetensors':
        try:
            return load_file(file)
        except Exception as error:  # safetensors raises several types for unknown dtypes and truncated files
            raise WeightsError(f'{file} cannot be read as safetensors ({shown(error)}): fetch or write it again') from error
    content = _load(file)
    if member is not None and isinstance(content, dict):
        content = content.get(member)
    return _tensors(content, file)


def write(state: dict[str, Tensor], file: Path, record: Entry) -> None:
    """Write named tensors as safetensors with name, license and citation in the metadata, atomically."""
    tensors = {name: value.clone().contiguous() for name, value in state.items()}
    write_bytes(file, save(tensors, {'weights': record.name, 'license': record.license, 'citation': record.citation}))


def convert(name: str, *, source: Path | None = None, out: Path | None = None, unpickle: bool = False) -> list[Path]:
    """Convert published weights to safetensors.

    Args:
        name: entry of models.weights.
        source: the published file; None for the fetched one.
        out: the file to write; None for the cache.
        unpickle: allow reading of a pickled network.

    Returns:
        The written files.

    Raises:
        WeightsError: the format needs no conversion, or the file cannot be read.
    """
    record = entry(name)
    if source is None:
        source = path(name)
        if verify(name) == 'wrong':
            raise WeightsError(f'{source} has the wrong sha256 and is not converted: delete it and fetch again')
    elif not source.is_file():
        raise WeightsError(f'there is no file {source}: name the published file with --source')
    target = record.path.with_suffix('.safetensors') if out is None else out
    if record.format == '7z of a state dict' and source.suffix == '.7z':
        raise WeightsError(f'{source} is a 7z archive: unpack it with `7z x`, then name the unpacked .pth with --source')
    if record.format == 'module':
        if not unpickle:
            raise WeightsError(f'{source} is a pickled program with weights inside: add --unpickle to extract the tensors; '
                               'its classes are replaced by empty ones and none of its code is run')
        write(read_module(source), target, record)
    elif record.format in ('state dict', '7z of a state dict'):
        write(read_state(source, record.member), target, record)
    elif record.format == 'zip of state dicts':
        return _convert_zip(source, target, record)
    else:
        raise WeightsError(f'{name} is {record.format} and needs no conversion')
    return [target]


def halve(source: Path, target: Path) -> Path:
    """Write the safetensors file `source` to `target` in half precision with the same metadata, as in models/zoo. Raises
    WeightsError for another file."""
    state = read_state(source) if source.suffix == '.safetensors' else None
    if state is None:
        raise WeightsError(f'{source} is no safetensors file: give the family.safetensors of a run')
    with safe_open(source, 'pt') as handle:
        metadata = handle.metadata() or {}
    halved = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    write_bytes(target, save(halved, metadata))
    return target


def read_archive(source: Path) -> dict[str, dict[str, Tensor]]:
    """Generators (`*_net_G.pth`) of a zip archive: file name without suffix -> named tensors. Raises WeightsError if the archive
    cannot be read."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = {Path(name).stem: read_member(archive, name) for name in sorted(archive.namelist())
                       if name.endswith('_net_G.pth') and not Path(name).name.startswith('.')}
    except Exception as error:  # zipfile and the decompressors raise several types for damaged archives
        raise WeightsError(f'{source} is no readable zip archive ({shown(error)}): fetch it again') from error
    if not members:
        raise WeightsError(f'{source} has no generator (*_net_G.pth): fetch it again')
    return {stem: _tensors(_load(io.BytesIO(data)), f'{source}/{stem}.pth') for stem, data in members.items()}


def _convert_zip(source: Path, target: Path, record: Entry) -> list[Path]:
    """Write one file per generator of the archive."""
    written = []
    for stem, state in read_archive(source).items():
        written.append(target.with_name(f'{target.stem}_{stem}.safetensors'))
        write(state, written[-1], record)
    return written
