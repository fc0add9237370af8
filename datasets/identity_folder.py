"""Folders of face images: one folder per identity (LFW, VGGFace2, any `name/image.jpg`), or images without identities.

Optional files in the root: `landmarks.csv` (columns file, identity, then x and y of the five points) and
`list_eval_partition.txt` (file, 0 | 1 | 2). Images of 178x218 pixels with landmarks are treated as aligned like CelebA; other
images are aligned by their landmarks. Images without landmarks are treated as face crops, of which the central square is used.
"""
from pathlib import Path

import numpy as np

from configs.reading import read_rows, read_text, shown
from datasets.faces import Faces, check_root, split_by_name, warn_once
from models.geometry import TEMPLATES
from models.image_io import ImageError, list_images, open_image

LANDMARK_COLUMNS = ('file', 'identity', 'lefteye_x', 'lefteye_y', 'righteye_x', 'righteye_y', 'nose_x', 'nose_y',
                    'leftmouth_x', 'leftmouth_y', 'rightmouth_x', 'rightmouth_y')


def identity_folder(root: str | Path, partition: str = 'all') -> Faces:
    """One top-level folder per identity, with images at any depth. Raises ValueError if there are no such folders."""
    root = check_root(root)
    files = [name for name in list_images(root, deep=True) if '/' in name]
    if not files:
        raise ValueError(f'{root} holds no folders of images; arrange it as name/image.jpg or use the data set "plain"')
    return _faces(root, files, [name.split('/')[0] for name in files]).partition(partition)


def plain(root: str | Path, partition: str = 'all') -> Faces:
    """All images below the folder, each a separate identity. Raises ValueError if there is none."""
    root = check_root(root)
    files = list_images(root, deep=True)
    if not files:
        raise ValueError(f'{root} holds no image')
    return _faces(root, files, files).partition(partition)


def _faces(root: Path, files: list[str], names: list[str]) -> Faces:
    points = frame = None
    path = root / 'landmarks.csv'
    if path.is_file():
        table = read_landmarks(path)
        points = np.stack([table.get(name, np.full((5, 2), np.nan, np.float32)) for name in files])
        missing = int(np.isnan(points).any((1, 2)).sum())
        if missing == len(files):
            raise ValueError(f'{path} names none of the images under {root}; its column "file" must be relative to it')
        if missing:
            warn_once(f'{path} does not name {missing} of {len(files)} images: these are left out')
            has_points = ~np.isnan(points).any((1, 2))
            points = points[has_points]
            files, names = ([value for value, keep in zip(column, has_points) if keep] for column in (files, names))
        if all(_size(root / name) == (178, 218) for name in files[:8]):
            frame = TEMPLATES['celeba']
    splits = split_by_name(names)
    path = root / 'list_eval_partition.txt'
    if path.is_file():
        rows = [line.rsplit(None, 1) for line in read_text(path).splitlines() if line.strip()]
        if any(len(row) != 2 or row[1] not in ('0', '1', '2') for row in rows):
            raise ValueError(f'{path} must hold an image and 0, 1 or 2 in each line')
        parts = {name: int(value) for name, value in rows}
        splits = np.array([parts.get(name, split) for name, split in zip(files, splits)], dtype=np.int8)
    return Faces(root, files, names, points=points, splits=splits, frame=frame)


def read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Landmarks of a CSV file: file -> (5,2) float32 in pixels. Raises ValueError for a malformed line, naming its image."""
    table = {}
    for row in read_rows(path, ('file', *LANDMARK_COLUMNS[2:])):
        try:
            points = np.array([float(row[name]) for name in LANDMARK_COLUMNS[2:]], np.float32).reshape(5, 2)
        except ValueError as error:
            raise ValueError(f'{path}: ten numbers are expected for {shown(row["file"])} ({shown(error)})') from error
        if not np.isfinite(points).all():
            raise ValueError(f'{path}: ten finite numbers are expected for {shown(row["file"])}')
        table[row['file']] = points
    return table


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with open_image(path) as image:
            return image.size
    except ImageError:
        return None
