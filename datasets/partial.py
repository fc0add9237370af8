"""Memory-mapped arrays that are filled over several attempts, so that an interrupted command goes on where it stopped.

An array lies at NAME.part until it is whole. A note beside them says what they are made of; it is written after every block of
every array is reserved, and arrays without their note are begun anew.
"""
import os
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from models.files import check_space, create_array, remove, write_bytes, write_errors

Spec = tuple[type, tuple[int, ...], float]  # dtype, shape, and the value that the array is filled with at first


class PartialArrays:
    """arrays: name -> memory-mapped array. note: file that holds the stamp. stamp: identifies what the arrays are made of; arrays
    of another stamp are replaced. purpose: a noun, for the sentence that says how much space is needed.

    WriteError where a file cannot be written, SpaceError where the disk has too little space; nothing is left then.
    """

    def __init__(self, note: Path, stamp: str, specs: dict[str, Spec], purpose: str):
        self.folder, self.note, self.names = note.parent, note, tuple(specs)
        self.arrays = self._resumed(specs) if note.is_file() and note.read_text(encoding='utf-8') == stamp else None
        if self.arrays is None:
            self.discard()
            try:
                with write_errors(self.folder):
                    self.folder.mkdir(parents=True, exist_ok=True)
                size = sum(np.dtype(dtype).itemsize * prod(shape) for dtype, shape, _ in specs.values())
                check_space(self.folder, size, purpose)
                self.arrays = {name: create_array(self._part(name), dtype, shape) for name, (dtype, shape, _) in specs.items()}
                for name, (_, _, value) in specs.items():
                    if value:
                        self.arrays[name][:] = value
                write_bytes(note, stamp.encode())
            except BaseException:
                self.discard()
                raise

    def __getitem__(self, name: str) -> np.memmap:
        return self.arrays[name]

    def keep(self, *names: str) -> None:
        """Give these arrays their final names."""
        for name in names:
            self.arrays[name].flush()
            with write_errors(self.folder / name):
                os.replace(self._part(name), self.folder / name)

    def discard(self) -> None:
        """Remove the note and the arrays that were not kept."""
        discard(self.note, *self.names)

    def _resumed(self, specs: dict[str, Spec]) -> dict[str, np.memmap] | None:
        """The arrays of an earlier attempt; None where one of them is missing or damaged."""
        for name in self.names:
            if (self.folder / name).is_file() and not self._part(name).is_file():  # kept, but not all of the rest
                os.replace(self.folder / name, self._part(name))
        try:
            arrays = {name: np.lib.format.open_memmap(self._part(name), mode='r+') for name in self.names}
        except (OSError, ValueError):
            return None
        fits = all((array.dtype, array.shape) == specs[name][:2] for name, array in arrays.items())
        return arrays if fits else None

    def _part(self, name: str) -> Path:
        return self.folder / f'{name}.part'


def discard(note: Path, *names: str) -> None:
    """Remove what an attempt left of the arrays of these names."""
    for path in (note, *(note.with_name(f'{name}.part') for name in names)):
        remove(path)


def fill_batches(parts: PartialArrays, name: str, status: str, rows: np.ndarray, batch: int,
                 values_of: Callable[[np.ndarray], np.ndarray], progress: Callable[[int, int], None]) -> None:
    """Fill the rows of an array batch by batch; the array `status` holds 1 for each batch that is filled.

    Batches are the same in each attempt, since the result of a network may depend on what else is in a batch.
    values_of: indices into `rows` -> values (len(indices), ...).
    """
    for number, start in enumerate(range(0, len(rows), batch)):
        indices = np.arange(start, min(start + batch, len(rows)))
        if not parts[status][number]:
            parts[name][rows[indices]] = values_of(indices)
            parts[status][number] = 1
        progress(int(indices[-1]) + 1, len(rows))
