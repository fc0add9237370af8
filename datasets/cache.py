"""Caches of face data sets in memory-mapped files, read without decoding and without copies.

A cache folder holds images.npy (N,3,H,W) uint8, optionally parsing.npy (N,H,W) uint8 with label maps, optionally
identities-NAME.npy (N,D) float32 with the embeddings of the identity encoder NAME, and index.npz with files, identities,
landmarks, partitions and the frame. Files are written as *.part and renamed when complete; interrupted packing and labeling
resume where they stopped, with identical results.
"""
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datasets.base import SizedDataset
from datasets.faces import BrokenImage, Faces, check_root, log
from datasets.partial import PartialArrays, Spec, discard, fill_batches
from datasets.transforms.joint import face_frame, into_frame, to_signed_float
from models.geometry import Template
from models.storage.files import check_space, check_writable, replacing

_DONE, _BROKEN = 1, 2  # values of status.npy, initially 0
IMAGES_FILE = 'images.npy'
_EARLIER_IMAGES_FILE = 'pictures.npy'  # name of the file in caches of earlier versions
_UNLABELED = 255  # initial value of parsing.npy
_STAMP = 'stamp.part'  # file with the stamp of an incomplete cache
_STATUS, _POINTS, _LABELED = 'status.npy', 'points.npy', 'parsing-status.npy'  # temporary arrays


class PackedFaces(Faces):
    """Faces of a cache folder; images and label maps are views of memory-mapped files.

    Raises ValueError if the folder holds no finished cache.
    """

    parsing_file = 'parsing.npy'
    frame: Template

    def __init__(self, folder: str | Path):
        folder = check_root(folder)
        if not (folder / 'index.npz').is_file():
            raise ValueError(f'{folder} holds no finished cache; write one with scripts/prepare_data.py pack')
        with np.load(folder / 'index.npz', allow_pickle=False) as index:
            height, width = index['shape'].tolist()
            super().__init__(folder, index['files'], index['names'], points=index['points'], splits=index['splits'],
                             frame=Template(width, height, tuple(map(tuple, index['frame'].tolist()))))
            self._rows: np.ndarray = index['rows']
        self.has_parsing = (folder / self.parsing_file).is_file()
        self._open()

    @property
    def rows(self) -> np.ndarray:
        """(N,): row of each image of the list in the files of the cache."""
        return self._rows

    def select(self, keep: np.ndarray) -> 'PackedFaces':
        selected = super().select(keep)
        selected._rows = self._rows[keep]
        return selected

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        row = self._rows[index]
        parsing = None if self._parsing is None else self._parsing[row]
        return self._images[row].transpose(1, 2, 0), parsing, self.landmarks(index)

    def float_images(self, rows: np.ndarray | slice) -> Tensor:
        """Images (B,3,H,W) in [-1,1] of rows of images.npy, which also holds images that are not selected."""
        return to_signed_float(torch.from_numpy(self._images[rows]))

    def embeddings(self, encoder: str) -> np.ndarray | None:
        """(N,D) float32, unit length: stored embeddings of the identity encoder of that name, or None."""
        file = _embeddings_file(self.root, encoder)
        return np.load(file)[self._rows] if file.is_file() else None

    def _open(self) -> None:
        # Copy-on-write mapping: writing into an image copies its pages and leaves the file unchanged. Indexing a plain array
        # is faster than indexing a memmap.
        earlier = self.root / _EARLIER_IMAGES_FILE
        file = earlier if earlier.is_file() and not (self.root / IMAGES_FILE).is_file() else self.root / IMAGES_FILE
        self._images = np.asarray(np.load(file, mmap_mode='c'))
        self._parsing: np.ndarray | None = None
        if self.has_parsing:
            self._parsing = np.asarray(np.load(self.root / self.parsing_file, mmap_mode='c'))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ('_images', '_parsing')}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


class _Framed(SizedDataset):
    """(index, uint8 arrays in the frame of the cache) of each image; (index, None) if it is unreadable."""

    def __init__(self, faces: Faces, to: Template):
        self.faces, self.to = faces, to

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> tuple[int, tuple[np.ndarray | None, ...] | None]:
        try:
            image, labels, points = into_frame(*self.faces.read(index), self.faces.frame, self.to)
        except BrokenImage as error:
            log.warning('left out: %s', error)
            return index, None
        return index, tuple(None if value is None else value.numpy() for value in (image, labels, points))


def packed(folder: str | Path, partition: str = 'all') -> Faces:
    """The faces of a cache folder. Raises ValueError as PackedFaces and Faces.partition do."""
    return PackedFaces(folder).partition(partition)


def pack(faces: Faces, folder: str | Path, to: Template, *, workers: int = 0) -> PackedFaces:
    """Write a cache of the faces warped to the template `to` and open it. Unreadable images are left out.

    workers: processes that read images; 0 reads in the calling process. Raises ValueError if the folder holds the cache of
    another list of faces or another frame, or if no image is readable.
    """
    folder = Path(folder).expanduser()
    check_writable(folder / 'index.npz')
    stamp = _stamp(faces, to)
    if (folder / 'index.npz').is_file():
        with np.load(folder / 'index.npz', allow_pickle=False) as index:
            if str(index['stamp']) != stamp:
                raise ValueError(f'{folder} holds the cache of other images or another size; give another folder')
        discard(folder / _STAMP, _STATUS, _POINTS)  # of a run that was killed before it removed them
        return PackedFaces(folder)

    specs: dict[str, Spec] = {IMAGES_FILE: (np.uint8, (len(faces), 3, to.height, to.width), 0)}
    if faces.has_parsing:
        specs['parsing.npy'] = np.uint8, (len(faces), to.height, to.width), 0
    specs |= {_STATUS: (np.uint8, (len(faces),), 0), _POINTS: (np.float32, (len(faces), 5, 2), np.nan)}
    arrays = PartialArrays(folder / _STAMP, stamp, specs, 'the cache')
    pending = np.flatnonzero(arrays[_STATUS] == 0).tolist()
    for index, framed in DataLoader(_Framed(faces, to), batch_size=None, sampler=pending, num_workers=workers, collate_fn=_as_is):
        if framed is not None:
            image, labels, points = framed
            arrays[IMAGES_FILE][index] = image
            if labels is not None:
                arrays['parsing.npy'][index] = labels
            if points is not None:
                arrays[_POINTS][index] = points
        arrays[_STATUS][index] = _BROKEN if framed is None else _DONE

    rows = np.flatnonzero(arrays[_STATUS] == _DONE)
    if not len(rows):
        arrays.discard()
        raise ValueError(f'none of the {len(faces)} images under {faces.root} can be read')
    index = {'stamp': stamp, 'shape': (to.height, to.width), 'frame': to.points, 'rows': rows, 'files': faces.files[rows],
             'names': faces.identity_names[faces.labels[rows]], 'splits': faces.splits[rows], 'points': arrays[_POINTS][rows]}
    arrays.keep(*({IMAGES_FILE, 'parsing.npy'} & set(specs)))
    with replacing(folder / 'index.npz') as temporary, temporary.open('wb') as handle:
        np.savez(handle, **index)
    arrays.discard()
    return PackedFaces(folder)


def label(folder: str | Path, labels_of: Callable[[Tensor], Tensor], *, name: str = '', batch: int = 64,
          progress: Callable[[int, int], None] = lambda done, total: None) -> PackedFaces:
    """Add label maps to a cache of faces in the template `face`, unless it has them, and open it.

    labels_of: parser, images (B,3,H,W) in [-1,1] -> ids of PARTS (B,H,W). name: name of the parser; interrupted labeling resumes
    only with the same name. batch: images per call. progress: called with the number of labeled images and of all images. Raises
    ValueError if the frame of the cache is not the template `face`.
    """
    faces = PackedFaces(folder)
    rows, stamp_file = faces._rows, faces.root / 'parsing.stamp.part'
    if faces.has_parsing:
        discard(stamp_file, _LABELED)
        return faces
    _check_square(faces)
    shape = len(faces._images), faces.frame.height, faces.frame.width
    arrays = PartialArrays(stamp_file, f'{name} {batch}', {
        'parsing.npy': (np.uint8, shape, _UNLABELED), _LABELED: (np.uint8, (-(-len(rows) // batch),), 0)}, 'the label maps')
    fill_batches(arrays, 'parsing.npy', _LABELED, rows, batch,
                 lambda indices: labels_of(faces.float_images(rows[indices])).byte().numpy(), progress)
    arrays.keep('parsing.npy')
    arrays.discard()
    return PackedFaces(folder)


def embed(folder: str | Path, encoder: str, encode: Callable[[Tensor], Tensor], *, batch: int = 64,
          progress: Callable[[int, int], None] = lambda done, total: None) -> PackedFaces:
    """Add the embeddings of an identity encoder to a cache of faces in the template `face`, unless it has them, and open it.

    encoder: name of the encoder and its weights. encode: images (B,3,H,W) in [-1,1] -> (B,D), unit length. batch and progress are
    as in `label`, which raises the same errors.
    """
    faces = PackedFaces(folder)
    _check_square(faces)
    file = _embeddings_file(faces.root, encoder)
    if file.is_file():
        return faces
    check_writable(file)
    count, embeddings = len(faces._images), []
    for start in range(0, count, batch):
        with torch.inference_mode():
            images = faces.float_images(slice(start, start + batch))
            embeddings.append(encode(images).float().numpy())
        if not start:
            check_space(faces.root, count * embeddings[0][0].nbytes, 'the embeddings')
        progress(min(start + batch, count), count)
    with replacing(file) as temporary, temporary.open('wb') as handle:
        np.lib.format.write_array(handle, np.concatenate(embeddings))
    return faces


def _embeddings_file(root: Path, encoder: str) -> Path:
    return root / f'identities-{encoder}.npy'


def _check_square(faces: PackedFaces) -> None:
    if not np.allclose(faces.frame.points, face_frame(faces.frame.width).points, atol=0.5):
        raise ValueError(f'{faces.root} does not hold faces in the template `face`; pack it without --side and --canvas')


def _as_is(sample: Any) -> Any:
    return sample


def _stamp(faces: Faces, to: Template) -> str:
    """SHA-256 of the list of faces and the frame, which identifies the contents of a cache."""
    digest = hashlib.sha256(repr((str(faces.root.resolve()), to)).encode())
    for column in (faces.files, faces.identity_names[faces.labels]):
        digest.update('\n'.join(map(str, column)).encode())
    return digest.hexdigest()
