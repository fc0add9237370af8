"""Arrays kept batch by batch, so that a long measurement holds no set whole and goes on where it was stopped."""
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.files import write_bytes


class Shards:
    """A folder of 000000.npz, 000016.npz, ...: what is known of `count` samples, `batch` at a time."""

    def __init__(self, folder: Path, count: int, batch: int):
        self.folder, self.count, self.batch = folder, count, batch
        folder.mkdir(parents=True, exist_ok=True)

    def parts(self) -> list[range]:
        """The samples of each batch."""
        return [range(start, min(start + self.batch, self.count)) for start in range(0, self.count, self.batch)]

    def has(self, part: range) -> bool:
        return self._path(part).is_file()

    def write(self, part: range, arrays: dict) -> None:
        """Tensors or arrays, one row per sample; None is left out. The file appears whole or not at all."""
        packed = io.BytesIO()
        np.savez(packed, **{key: value.cpu().numpy() if isinstance(value, Tensor) else value for key, value in arrays.items()
                            if value is not None})
        write_bytes(self._path(part), packed.getvalue())

    def read(self, part: range) -> dict[str, Tensor]:
        """What `write` was given."""
        with np.load(self._path(part)) as stored:
            return {key: torch.from_numpy(stored[key]) for key in stored}

    def each(self, key: str) -> Iterator[Tensor]:
        """One array of all batches in turn; nothing where it is not known."""
        for part in self.parts():
            with np.load(self._path(part)) as stored:
                if key in stored:
                    yield torch.from_numpy(stored[key])

    def whole(self, key: str, most: int | None = None) -> Tensor | None:
        """(count,...) float32, or the first `most`; None where it is not known."""
        found, length = [], 0
        for values in self.each(key):
            found.append(values.float())
            length += len(values)
            if most is not None and length >= most:
                break
        return torch.cat(found)[:most] if found else None

    def _path(self, part: range) -> Path:
        return self.folder / f'{part.start:06d}.npz'
