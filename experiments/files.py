"""Where a run lives, and writing so that a reader, or a power cut, never meets half a file."""
import os
import time
from pathlib import Path


def write_synced(path: Path, data: bytes) -> None:
    """Write bytes and wait until they are on the disk."""
    with open(path, 'wb') as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's list of names is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file beside its place and rename it there: afterwards the old content stands or the new one, never a mixture."""
    path = Path(path)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        write_synced(partial, data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def run_folder(name: str, out: Path | None, resume: Path | None) -> Path:
    """Where a run lives: RUN of --resume, FOLDER of --out, or runs/NAME-DATE. ValueError where the folder holds another run."""
    folder = resume or out or Path('runs') / f'{name}-{time.strftime("%Y%m%d-%H%M%S")}'
    if not resume and (folder / 'config.yaml').exists():
        raise ValueError(f'{folder} holds a run already; go on with --resume {folder} or give another --out')
    return folder
