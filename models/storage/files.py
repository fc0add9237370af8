"""Atomic writing of files: to a temporary file in the same folder, which is synchronized and renamed.

Temporary files are named `.NAME.HOST-PID.tmp`. `sweep` removes those whose process has ended.
"""
import errno
import os
import shutil
import socket
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

MAX_NAME_BYTES = 255  # of a file name on common file systems
STALE_SECONDS = 86_400  # age from which a temporary file of another machine counts as abandoned
_SUFFIX = '.tmp'
_HOST = f'{zlib.crc32(socket.gethostname().encode()):08x}'
_ADVICE = {
    errno.ENOSPC: 'the disk is full; free some space and run the command again',
    errno.EDQUOT: 'the disk quota is used up; free some space and run the command again',
    errno.EROFS: 'the file system is read-only; give another output path',
    errno.ENAMETOOLONG: 'the file name is too long; give a shorter one',
    errno.EACCES: 'permission denied; change the permissions or give another output path',
    errno.EPERM: 'permission denied; change the permissions or give another output path',
    errno.ENOTDIR: 'a part of the path is a file, not a folder; give another output path',
    errno.EISDIR: 'it is a folder; give the path of a file',
    errno.ENOENT: 'the folder does not exist; create it or give another output path',
}


class WriteError(OSError, ValueError):
    """A file cannot be written. str() is one sentence with the path, the cause and what to do; `errno`, `strerror` and
    `filename` are those of the underlying error."""

    def __str__(self) -> str:
        advice = _ADVICE.get(self.errno or 0, f'{self.strerror}; give another output path')
        return f'{self.filename} cannot be written: {advice}'


class SpaceError(WriteError):
    """The disk has too little space, detected in advance; `strerror` states the space needed and free."""

    def __str__(self) -> str:
        return f'the disk of {self.filename} is too full: {self.strerror}; free some space and run the command again'


def write_error(path: str | Path, error: OSError) -> WriteError:
    """The WriteError of an OSError that was raised while `path` was written."""
    return WriteError(error.errno, error.strerror or str(error), str(path))


@contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """Convert OSErrors to WriteErrors that name `path`."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise write_error(path, error) from error


def temporary_path(path: str | Path) -> Path:
    """Path of the temporary file in the same folder; its name has at most MAX_NAME_BYTES bytes."""
    path, ending = Path(path), f'.{_HOST}-{os.getpid()}{_SUFFIX}'
    stem = os.fsencode(path.name)[:MAX_NAME_BYTES - len(ending) - 1].decode(sys.getfilesystemencoding(), 'ignore')
    return path.with_name(f'.{stem}{ending}')


def _is_abandoned(path: Path) -> bool:
    host, _, process = path.name.removesuffix(_SUFFIX).rpartition('.')[2].partition('-')
    if len(host) != len(_HOST) or not process.isdecimal():
        return False
    if host != _HOST:
        return time.time() - path.lstat().st_mtime > STALE_SECONDS
    if int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def sweep(folder: str | Path) -> list[Path]:
    """Remove temporary files and folders directly in `folder` whose process has ended, or which belong to another machine and are
    older than STALE_SECONDS. Returns the removed paths; none for a missing folder."""
    removed = []
    with suppress(OSError):
        for path in Path(folder).glob(f'.*{_SUFFIX}'):
            with suppress(OSError):
                if _is_abandoned(path):
                    remove(path)
                    removed.append(path)
    return removed


@cache
def _sweep_once(folder: Path) -> None:
    """`sweep` once per process and folder, since a folder may receive a hundred thousand files."""
    sweep(folder)


def remove(path: str | Path) -> None:
    """Remove a file or folder if possible; errors are ignored, so that the exception being handled is not replaced."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sync(path: str | Path) -> None:
    """fsync a file, or a folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield the path of a temporary file to write; on exit it is synchronized and renamed to `path`.

    Missing parent folders are created and temporary files of ended processes in the folder are removed. On an exception the
    temporary file is removed and `path` is unchanged; an OSError becomes a WriteError.
    """
    path, temporary = Path(path), temporary_path(path)
    try:
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep_once(path.parent)
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    except BaseException:
        remove(temporary)
        raise


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file by `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_writable(path: str | Path) -> None:
    """Raise the WriteError that writing `path` would raise, as far as it can be determined in advance: a name that is too long, a
    folder without write permission, a read-only file system, a full disk. Missing parent folders are created."""
    path = Path(path)
    with write_errors(path):
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(path).st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        probe = temporary_path(path)
        try:
            probe.write_bytes(bytes(4096))  # a full disk accepts an empty file, but no block
            sync(probe)
        finally:
            remove(probe)


def check_space(folder: str | Path, size: int, purpose: str) -> None:
    """Raises SpaceError if the disk of `folder` has less than `size` bytes free. purpose: of the bytes, a noun phrase."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise SpaceError(errno.ENOSPC, f'{purpose} needs {size / 1e6:.0f} MB and {free / 1e6:.0f} MB are free', str(folder))


def reserve(path: str | Path, size: int) -> None:
    """Extend a file to at least `size` bytes with all blocks allocated, so that writing through a memory map cannot fail on a
    full disk (with a SIGBUS). The content is kept. Raises SpaceError if there is too little space."""
    path = Path(path)
    with write_errors(path), open(path, 'ab') as handle:
        length = handle.tell()
        try:
            _allocate(handle, length, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.ftruncate(handle.fileno(), length)
            raise SpaceError(errno.ENOSPC, f'{path.name} needs {size / 1e6:.0f} MB and '
                             f'{shutil.disk_usage(path.parent).free / 1e6:.0f} MB are free', str(path.parent)) from error


def _allocate(handle: BinaryIO, length: int, size: int) -> None:
    try:
        os.posix_fallocate(handle.fileno(), 0, max(size, 1))
    except (AttributeError, OSError) as error:  # missing on macOS, unsupported by some file systems
        if getattr(error, 'errno', None) not in (None, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        for start in range(length, size, 1 << 20):
            handle.write(bytes(min(1 << 20, size - start)))
        handle.flush()
        os.fsync(handle.fileno())


def create_array(path: str | Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Create a .npy file of zeros with all blocks allocated and map it into memory. Raises SpaceError and WriteError as
    `reserve` does."""
    path = Path(path)
    header = {'descr': np.lib.format.dtype_to_descr(np.dtype(dtype)), 'fortran_order': False, 'shape': tuple(shape)}
    with write_errors(path), open(path, 'wb') as handle:
        np.lib.format.write_array_header_1_0(handle, header)
        size = handle.tell() + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    reserve(path, size)
    return np.lib.format.open_memmap(path, mode='r+')
