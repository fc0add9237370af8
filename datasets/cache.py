"""A data set of faces packed into one memory-mapped file: images are read without decoding and without a copy.

A cache folder holds images.npy (N,3,H,W) uint8, parsing.npy (N,H,W) uint8 where there are label maps, identities-NAME.npy (N,D)
float32 where the identity encoder NAME has seen the images, and index.npz with files, persons, landmarks, partitions and the
frame. It is written as *.part and renamed when it is whole; packing that was interrupted goes on where it stopped.
"""
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datasets.faces import BrokenImage, Faces, check_root, log
from datasets.transforms import face_frame, into_frame, unit
from models.geometry import Template

_DONE, _BROKEN = 1, 2
_IMAGES = 'images.npy', 'pictures.npy'  # the present name first
_UNLABELLED = 255


class PackedFaces(Faces):
    """Faces out of a cache folder; images and label maps are views of the mapped files."""

    labels_file = 'parsing.npy'

    def __init__(self, folder: str | Path):
        folder = check_root(folder)
        if not (folder / 'index.npz').is_file():
            raise ValueError(f'{folder} holds no finished cache; write one with scripts/prepare_data.py pack')
        with np.load(folder / 'index.npz', allow_pickle=False) as index:
            height, width = index['shape'].tolist()
            super().__init__(folder, index['files'], index['names'], points=index['points'], splits=index['splits'],
                             frame=Template(width, height, tuple(map(tuple, index['frame'].tolist()))))
            self._rows = index['rows']
        self.has_parsing = (folder / self.labels_file).is_file()
        self._open()

    def select(self, keep):
        chosen = super().select(keep)
        chosen._rows = self._rows[keep]
        return chosen

    def read(self, index: int):
        row = self._rows[index]
        return self._images[row].transpose(1, 2, 0), self._labels[row] if self.has_parsing else None, self.landmarks(index)

    def identities(self, encoder: str) -> np.ndarray | None:
        """(N,D) float32, unit length: how the encoder of that name sees each image; None where it was not asked."""
        file = _identities_file(self.root, encoder)
        return np.load(file)[self._rows] if file.is_file() else None

    def _open(self):
        # Copy-on-write mapping: nothing is copied unless somebody writes into an image, and the file never changes. Rows of a
        # plain view of it are cut out faster.
        stored = next((path for name in _IMAGES if (path := self.root / name).is_file()), self.root / _IMAGES[0])
        self._images = np.asarray(np.load(stored, mmap_mode='c'))
        self._labels = np.asarray(np.load(self.root / self.labels_file, mmap_mode='c')) if self.has_parsing else None

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in ('_images', '_labels')}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()


class _Framed(Dataset):
    """Images of a list as uint8 arrays in the frame of the cache; None where one is unreadable."""

    def __init__(self, faces: Faces, to: Template):
        self.faces, self.to = faces, to

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int):
        try:
            image, labels, points = into_frame(*self.faces.read(index), self.faces.frame, self.to)
        except BrokenImage as error:
            log.warning('left out: %s', error)
            return index, None
        return index, tuple(None if value is None else value.numpy() for value in (image, labels, points))


def packed(folder: str | Path, partition: str = 'all') -> Faces:
    """The faces of a cache folder."""
    return PackedFaces(folder).partition(partition)


def pack(faces: Faces, folder: str | Path, to: Template, *, workers: int = 0) -> PackedFaces:
    """Write a cache of the faces as they look in the template `to` and open it. Unreadable images are left out.

    ValueError where the folder holds the cache of another list of faces or another frame.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    stamp = _stamp(faces, to)
    if (folder / 'index.npz').is_file():
        with np.load(folder / 'index.npz', allow_pickle=False) as index:
            if str(index['stamp']) != stamp:
                raise ValueError(f'{folder} holds the cache of other images or another size; give another folder')
        return PackedFaces(folder)

    shapes = {'images': (len(faces), 3, to.height, to.width), 'status': (len(faces),), 'points': (len(faces), 5, 2)}
    if faces.has_parsing:
        shapes['parsing'] = (len(faces), to.height, to.width)
    parts = {name: folder / f'{name}.npy.part' for name in shapes}
    note = folder / 'stamp.part'
    resumed = note.is_file() and note.read_text() == stamp and all(path.is_file() for path in parts.values())
    arrays = {name: np.lib.format.open_memmap(path, mode='r+' if resumed else 'w+', shape=shapes[name],
                                              dtype=np.float32 if name == 'points' else np.uint8)
              for name, path in parts.items()}
    if not resumed:
        arrays['points'][:] = np.nan
        note.write_text(stamp)
    todo = np.flatnonzero(arrays['status'] == 0).tolist()
    for index, framed in DataLoader(_Framed(faces, to), batch_size=None, sampler=todo, num_workers=workers, collate_fn=_as_is):
        if framed is not None:
            image, labels, points = framed
            arrays['images'][index] = image
            if labels is not None:
                arrays['parsing'][index] = labels
            if points is not None:
                arrays['points'][index] = points
        arrays['status'][index] = _BROKEN if framed is None else _DONE

    rows = np.flatnonzero(arrays['status'] == _DONE)
    if not len(rows):
        raise ValueError(f'none of the {len(faces)} images under {faces.root} can be read')
    index = {'stamp': stamp, 'shape': (to.height, to.width), 'frame': to.points, 'rows': rows, 'files': faces.files[rows],
             'names': faces.people[faces.persons[rows]], 'splits': faces.splits[rows], 'points': arrays['points'][rows]}
    for array in arrays.values():
        array.flush()
    for name in {'images', 'parsing'} & set(parts):
        os.replace(parts[name], folder / f'{name}.npy')
    with (folder / 'index.part').open('wb') as handle:
        np.savez(handle, **index)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(folder / 'index.part', folder / 'index.npz')
    for path in (note, parts['status'], parts['points']):
        path.unlink()
    return PackedFaces(folder)


def label(folder: str | Path, labels_of: Callable[[Tensor], Tensor], *, batch: int = 64,
          progress: Callable[[int, int], None] | None = None) -> PackedFaces:
    """Add label maps to a cache of faces in the template `face` that has none, and open it.

    labels_of: images (B,3,H,W) in [-1,1] -> ids of PARTS (B,H,W). Labeling that was interrupted goes on where it stopped.
    ValueError where the cache shows more or less than the template `face`.
    """
    faces = PackedFaces(folder)
    if faces.has_parsing:
        return faces
    _check_square(faces)
    shape = len(faces._images), faces.frame.height, faces.frame.width
    part = faces.root / 'parsing.npy.part'
    resumed = part.is_file()
    labels = np.lib.format.open_memmap(part, mode='r+' if resumed else 'w+', dtype=np.uint8, shape=shape)
    if not resumed:
        labels[:] = _UNLABELLED
    todo = faces._rows[labels[faces._rows, 0, 0] == _UNLABELLED]
    for start in range(0, len(todo), batch):
        rows = todo[start:start + batch]
        images = unit(torch.from_numpy(faces._images[rows]))
        labels[rows] = labels_of(images).byte().numpy()
        if progress:
            progress(min(start + batch, len(todo)), len(todo))
    labels.flush()
    os.replace(part, faces.root / 'parsing.npy')
    return PackedFaces(folder)


def embed(folder: str | Path, encoder: str, identities_of: Callable[[Tensor], Tensor], *, batch: int = 64,
          progress: Callable[[int, int], None] | None = None) -> PackedFaces:
    """Add to a cache of faces in the template `face` how an identity encoder sees them, and open it.

    encoder: a name for it and its weights. identities_of: images (B,3,H,W) in [-1,1] -> (B,D) unit length. ValueError
    as for label.
    """
    faces = PackedFaces(folder)
    _check_square(faces)
    file = _identities_file(faces.root, encoder)
    if file.is_file():
        return faces
    found = []
    for start in range(0, len(faces._images), batch):
        with torch.inference_mode():
            found.append(identities_of(unit(torch.from_numpy(faces._images[start:start + batch]))).float().numpy())
        if progress:
            progress(min(start + batch, len(faces._images)), len(faces._images))
    part = file.with_suffix('.part')
    with part.open('wb') as handle:
        np.save(handle, np.concatenate(found))
    os.replace(part, file)
    return faces


def _identities_file(root: Path, encoder: str) -> Path:
    return root / f'identities-{encoder}.npy'


def _check_square(faces: PackedFaces) -> None:
    if not np.allclose(faces.frame.points, face_frame(faces.frame.width).points, atol=0.5):
        raise ValueError(f'{faces.root} does not hold faces in the template `face`; pack it without --side and --canvas')


def _as_is(sample):
    return sample


def _stamp(faces: Faces, to: Template) -> str:
    """Names the list of faces and the frame, so that a cache is never mistaken for another one's."""
    digest = hashlib.sha256(repr((str(faces.root.resolve()), to)).encode())
    for column in (faces.files, faces.people[faces.persons]):
        digest.update('\n'.join(map(str, column)).encode())
    return digest.hexdigest()
