"""Published files of weights -> named tensors -> safetensors."""
import io
import zipfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from configs.reading import shown
from models.files import write_bytes
from models.unpickle import read_member, read_module
from models.weights import Entry, WeightsError, entry, path, verify


def _load(file: Path | io.BytesIO):
    """What a PyTorch file holds; WeightsError where it is none, or holds more than tensors and containers."""
    try:
        return torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged pickle makes its reader raise anything
        raise WeightsError(f'{file if isinstance(file, Path) else "the archive"} is no PyTorch file, or holds more than named '
                           'tensors: give the file that the table of weights means') from error


def _tensors(found: object, file: Path | str) -> dict[str, Tensor]:
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f'{file} holds no state dict where one is expected: give the file that the table of weights means')
    return {name.removeprefix('module.'): value for name, value in found.items()}


def read_state(file: Path, member: str | None = None) -> dict[str, Tensor]:
    """Named tensors of a safetensors file or a PyTorch file (under the key `member`), without a leading `module.`.

    WeightsError says what is wrong with the file.
    """
    file = Path(file)
    if file.suffix == '.safetensors':
        try:
            return load_file(file)
        except Exception as error:  # of a dtype that PyTorch does not know, or a file cut short: safetensors raises several kinds
            raise WeightsError(f'{file} cannot be read as safetensors ({shown(error)}): fetch or write it again') from error
    found = _load(file)
    if member is not None and isinstance(found, dict):
        found = found.get(member)
    return _tensors(found, file)


def write(state: dict[str, Tensor], file: Path, found: Entry) -> None:
    """Write named tensors as safetensors, with name and license in the metadata; the file appears complete or not at all."""
    tensors = {name: value.clone().contiguous() for name, value in state.items()}
    write_bytes(file, save(tensors, {'weights': found.name, 'license': found.license, 'citation': found.citation}))


def convert(name: str, *, source: Path | None = None, out: Path | None = None, unpickle: bool = False) -> list[Path]:
    """Turn a file of the table into safetensors in the cache (or `out`); returns what was written.

    source: the published file, where it is not the fetched one. unpickle: consent to read a pickled network.
    WeightsError where the format has nothing to convert.
    """
    found = entry(name)
    if source is None:
        source = path(name)
        if verify(name) == 'wrong':
            raise WeightsError(f'{source} has the wrong sha256 and is not converted: delete it and fetch again')
    elif not source.is_file():
        raise WeightsError(f'there is no file {source}: name the published file with --source')
    target = found.path.with_suffix('.safetensors') if out is None else out
    if found.format == '7z of a state dict' and source.suffix == '.7z':
        raise WeightsError(f'{source} is a 7z archive: unpack it with `7z x`, then name the unpacked .pth with --source')
    if found.format == 'module':
        if not unpickle:
            raise WeightsError(f'{source} is a pickled program with weights inside: add --unpickle to have the tensors taken out '
                               'of it; the classes in it are replaced by empty ones and none of its code is run')
        write(read_module(source), target, found)
    elif found.format in ('state dict', '7z of a state dict'):
        write(read_state(source, found.member), target, found)
    elif found.format == 'zip of state dicts':
        return _convert_zip(source, target, found)
    else:
        raise WeightsError(f'{name} is {found.format} and used as it is: there is nothing to convert')
    return [target]


def halve(source: Path, target: Path) -> Path:
    """Write a safetensors file in half precision, metadata kept: the form of models/zoo. WeightsError where it is none."""
    state = read_state(source) if source.suffix == '.safetensors' else None
    if state is None:
        raise WeightsError(f'{source} is no safetensors file: give the family.safetensors of a run')
    with safe_open(source, 'pt') as handle:
        metadata = handle.metadata() or {}
    halved = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    write_bytes(target, save(halved, metadata))
    return target


def read_archive(source: Path) -> dict[str, dict[str, Tensor]]:
    """Of each generator in a zip archive (`*_net_G.pth`), the file name without suffix -> its named tensors. WeightsError says
    what is wrong with the archive."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = {Path(name).stem: read_member(archive, name) for name in sorted(archive.namelist())
                       if name.endswith('_net_G.pth') and not Path(name).name.startswith('.')}
    except Exception as error:  # zipfile and the decompressors raise several kinds for damaged archives
        raise WeightsError(f'{source} is no readable zip archive ({shown(error)}): fetch it again') from error
    if not members:
        raise WeightsError(f'{source} holds no generator (*_net_G.pth): fetch it again')
    return {stem: _tensors(_load(io.BytesIO(data)), f'{source}/{stem}.pth') for stem, data in members.items()}


def _convert_zip(source: Path, target: Path, found: Entry) -> list[Path]:
    """One file per generator in the archive."""
    written = []
    for stem, state in read_archive(source).items():
        written.append(target.with_name(f'{target.stem}_{stem}.safetensors'))
        write(state, written[-1], found)
    return written
