"""Small file systems for tests of full disks."""
import shutil
from pathlib import Path

SIZE = 4 * 2 ** 20  # bytes of the fixture small_disk


def fill(disk: Path, free: int) -> None:
    """Fill a file system up to `free` bytes, by the folder `filler`."""
    shutil.rmtree(disk / 'filler', ignore_errors=True)
    (disk / 'filler').mkdir()
    (disk / 'filler' / 'bytes').write_bytes(bytes(shutil.disk_usage(disk).free - free))


def release(disk: Path) -> None:
    """Undo `fill`."""
    shutil.rmtree(disk / 'filler')
