"""Face images on disk: the record of an image and the list common to all data sets of faces."""
import functools
import logging
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.geometry import Template
from models.image_io import ImageError, read_rgb

PARTITIONS = ('train', 'validation', 'test')
log = logging.getLogger(__name__)
FacesT = TypeVar('FacesT', bound='Faces')


class BrokenImage(ValueError):
    """An image file that cannot be read; the message names the path."""


@dataclass(frozen=True)
class Face:
    """A face image on disk.

    label: identity label from 0, unique in the data set. name: name of the identity in the data set. points: (5,2) landmarks in
    pixels of the stored image, or None. frame: template to which the stored image is aligned, up to scale; None if it is not
    aligned.
    """

    path: Path
    label: int
    name: str
    points: np.ndarray | None = None
    frame: Template | None = None


class Faces:
    """An indexed list of `Face` records, stored as one array per column to save memory and to be fork-safe.

    files: paths relative to root. names: identity name of each image. points: (N,5,2) float32 landmarks in pixels of the stored
    images, NaN where unknown. splits: (N,) int8 index into PARTITIONS; `split_by_name` if None. frame: as in Face. columns:
    further annotations with N rows each, such as attributes and boxes. `labels` holds the identity label of each image, an index
    into `identity_names`. Raises ValueError for an empty list.
    """

    has_parsing = False

    def __init__(self, root: Path, files: Sequence[str], names: Sequence[str], *, points: np.ndarray | None = None,
                 splits: np.ndarray | None = None, frame: Template | None = None,
                 columns: dict[str, np.ndarray] | None = None):
        if not len(files):
            raise ValueError(f'no face image was found under {root}; check the folder and its layout')
        self.root, self.files, self.frame = root, np.asarray(files), frame
        self.identity_names, labels = np.unique(np.asarray(names), return_inverse=True)
        self.labels = labels.astype(np.int64)
        self.points = points
        self.splits = split_by_name(names) if splits is None else splits
        self.columns = columns or {}

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """Path of an image file."""
        return self.root / str(self.files[index])

    def __getitem__(self, index: int) -> Face:
        label = int(self.labels[index])
        return Face(self.path(index), label, str(self.identity_names[label]), self.landmarks(index), self.frame)

    def landmarks(self, index: int) -> np.ndarray | None:
        """Landmarks (5,2) of an image in pixels, or None if they are unknown."""
        if self.points is None:
            return None
        points = self.points[index]
        return None if math.isnan(points.sum()) else points

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Image (H,W,3) uint8 RGB; label map (H,W) uint8 in ids of PARTS, or None; landmarks (5,2) in pixels, or None.
        Raises BrokenImage if the file cannot be read."""
        return read_image(self.path(index)), None, self.landmarks(index)

    def embeddings(self, encoder: str) -> np.ndarray | None:
        """(N,D) float32, unit length: stored embeddings of the identity encoder of that name, or None."""
        return None

    def select(self: FacesT, keep: np.ndarray) -> FacesT:
        """The rows of an index array or a boolean mask; identity labels are unchanged."""
        selected = object.__new__(type(self))
        selected.__dict__.update(self.__dict__)
        selected.files, selected.labels, selected.splits = self.files[keep], self.labels[keep], self.splits[keep]
        selected.points = None if self.points is None else self.points[keep]
        selected.columns = {name: column[keep] for name, column in self.columns.items()}
        return selected

    def partition(self: FacesT, name: str) -> FacesT:
        """The images of one of PARTITIONS, or `all`. Raises ValueError if it is unknown or empty."""
        if name == 'all':
            return self
        if name not in PARTITIONS:
            raise ValueError(f'unknown partition {name!r}; known: {", ".join(PARTITIONS)}, all')
        keep = np.flatnonzero(self.splits == PARTITIONS.index(name))
        if not len(keep):
            raise ValueError(f'partition {name!r} of {self.root} is empty; use the partition "all" or add images')
        return self.select(keep)


def split_by_name(names: Sequence[str]) -> np.ndarray:
    """(N,) int8 index into PARTITIONS of each name, 80/10/10 by the CRC-32 of the name, independent of the other names."""
    buckets = {name: zlib.crc32(str(name).encode()) % 10 for name in set(map(str, names))}
    return np.array([max(0, buckets[str(name)] - 7) for name in names], dtype=np.int8)


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning about the data, once per process."""
    log.warning(message)


def check_root(root: str | Path) -> Path:
    """The folder as a path, with ~ expanded. Raises ValueError if it does not exist."""
    root = Path(root).expanduser()
    if not root.is_dir():
        raise ValueError(f'{root} is not a folder; give the folder that holds the data set')
    return root


def read_image(path: Path) -> np.ndarray:
    """(H,W,3) uint8 sRGB with the EXIF orientation applied. Raises BrokenImage if it cannot be decoded completely."""
    try:
        return read_rgb(path)
    except ImageError as error:
        raise BrokenImage(str(error)) from error
