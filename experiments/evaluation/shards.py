"""On-disk storage of arrays in batches, for resumable measurements of bounded memory use."""
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.renamed import renamed_array
from models.storage.files import write_bytes


class Shards:
    """A folder of 000000.npz, 000016.npz, ... with arrays of `count` samples, `batch` samples per file.

    Arrays of earlier versions are read under the names of this one.
    """

    def __init__(self, folder: Path, count: int, batch: int):
        self.folder, self.count, self.batch = folder, count, batch
        folder.mkdir(parents=True, exist_ok=True)

    def parts(self) -> list[range]:
        """Sample indices of each file."""
        return [range(start, min(start + self.batch, self.count)) for start in range(0, self.count, self.batch)]

    def has(self, part: range) -> bool:
        """Whether the file of these samples exists."""
        return self._path(part).is_file()

    def write(self, part: range, arrays: Mapping[str, Tensor | np.ndarray | None]) -> None:
        """Store tensors or arrays with one row per sample, without those that are None. The file is written atomically."""
        packed = io.BytesIO()
        values: dict[str, Any] = {key: value.cpu().numpy() if isinstance(value, Tensor) else value
                                  for key, value in arrays.items() if value is not None}
        np.savez(packed, **values)
        write_bytes(self._path(part), packed.getvalue())

    def read(self, part: range) -> dict[str, Tensor]:
        """Tensors stored by `write`."""
        with np.load(self._path(part)) as stored:
            return {renamed_array(key): torch.from_numpy(stored[key]) for key in stored}

    def each(self, key: str) -> Iterator[Tensor]:
        """Iterate over the batches of one array; files without it are skipped."""
        for part in self.parts():
            with np.load(self._path(part)) as stored:
                for name in stored:
                    if renamed_array(name) == key:
                        yield torch.from_numpy(stored[name])

    def find(self, key: str, limit: int | None = None) -> Tensor | None:
        """The array (count,...) as float32, at most its first `limit` rows; None where it is not stored."""
        batches, length = [], 0
        for values in self.each(key):
            batches.append(values.float())
            length += len(values)
            if limit is not None and length >= limit:
                break
        return torch.cat(batches)[:limit] if batches else None

    def whole(self, key: str) -> Tensor:
        """The array (count,...) as float32. Raises KeyError where it is not stored."""
        values = self.find(key)
        if values is None:
            raise KeyError(key)
        return values

    def per_sample(self) -> dict[str, Tensor]:
        """The arrays with one number per sample, (count,) each. All files must be written."""
        return {name: self.whole(name) for name, values in self.read(self.parts()[0]).items() if values.dim() == 1}

    def _path(self, part: range) -> Path:
        return self.folder / f'{part.start:06d}.npz'
