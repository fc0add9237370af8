"""Memory-mapped arrays that are filled over several runs of an interrupted command.

An array is stored as NAME.part until it is complete. A stamp file identifies the inputs; it is written after the disk space of
all arrays is allocated, and arrays without a stamp file are created anew.
"""
import os
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from models.storage.files import check_space, create_array, remove, write_bytes, write_errors

Spec = tuple[type, tuple[int, ...], float]  # dtype, shape, initial value


class PartialArrays:
    """A set of memory-mapped arrays with a common stamp; `arrays` maps names to arrays.

    stamp_file: file that holds the stamp, in the folder of the arrays. stamp: identifies the inputs of the arrays; arrays of
    another stamp are replaced. specs: array name -> Spec. purpose: noun phrase for the error message about disk space.

    Raises WriteError if a file cannot be written and SpaceError if the disk has too little space; both leave no files.
    """

    def __init__(self, stamp_file: Path, stamp: str, specs: dict[str, Spec], purpose: str):
        self.folder, self.stamp_file, self.names = stamp_file.parent, stamp_file, tuple(specs)
        is_resumed = stamp_file.is_file() and stamp_file.read_text(encoding='utf-8') == stamp
        arrays = self._resumed(specs) if is_resumed else None
        if arrays is None:
            self.discard()
            try:
                with write_errors(self.folder):
                    self.folder.mkdir(parents=True, exist_ok=True)
                size = sum(np.dtype(dtype).itemsize * prod(shape) for dtype, shape, _ in specs.values())
                check_space(self.folder, size, purpose)
                arrays = {name: create_array(self._part(name), dtype, shape) for name, (dtype, shape, _) in specs.items()}
                for name, (_, _, value) in specs.items():
                    if value:
                        arrays[name][:] = value
                write_bytes(stamp_file, stamp.encode())
            except BaseException:
                self.discard()
                raise
        self.arrays: dict[str, np.memmap] = arrays

    def __getitem__(self, name: str) -> np.memmap:
        return self.arrays[name]

    def keep(self, *names: str) -> None:
        """Flush these arrays and rename them to their final names."""
        for name in names:
            self.arrays[name].flush()
            with write_errors(self.folder / name):
                os.replace(self._part(name), self.folder / name)

    def discard(self) -> None:
        """Remove the stamp file and the incomplete arrays."""
        discard(self.stamp_file, *self.names)

    def _resumed(self, specs: dict[str, Spec]) -> dict[str, np.memmap] | None:
        """The arrays of an earlier run; None if one of them is missing or damaged."""
        for name in self.names:
            if (self.folder / name).is_file() and not self._part(name).is_file():  # renamed before the others were complete
                os.replace(self.folder / name, self._part(name))
        try:
            arrays = {name: np.lib.format.open_memmap(self._part(name), mode='r+') for name in self.names}
        except (OSError, ValueError):
            return None
        is_valid = all((array.dtype, array.shape) == specs[name][:2] for name, array in arrays.items())
        return arrays if is_valid else None

    def _part(self, name: str) -> Path:
        return self.folder / f'{name}.part'


def discard(stamp_file: Path, *names: str) -> None:
    """Remove the stamp file and the incomplete arrays of these names."""
    for path in (stamp_file, *(stamp_file.with_name(f'{name}.part') for name in names)):
        remove(path)


def fill_batches(parts: PartialArrays, name: str, status: str, rows: np.ndarray, batch: int,
                 values_of: Callable[[np.ndarray], np.ndarray], progress: Callable[[int, int], None]) -> None:
    """Fill the rows of an array batch by batch, skipping the batches that the array `status` marks as filled (1).

    The division into batches is the same in each run, as the output of a network may depend on the composition of a batch.
    values_of: indices into `rows` -> values (len(indices), ...). progress: called with the number of rows filled and the total.
    """
    for number, start in enumerate(range(0, len(rows), batch)):
        indices = np.arange(start, min(start + batch, len(rows)))
        if not parts[status][number]:
            parts[name][rows[indices]] = values_of(indices)
            parts[status][number] = 1
        progress(int(indices[-1]) + 1, len(rows))
