"""CelebA (Liu et al. 2015) in its official layout, complete or in part.

Images are in img_align_celeba/ (aligned, 178x218) or img_celeba/ (in the wild), annotation lists in the same folder; the folders
`Anno/`, `Eval/` and `Img/` of the official archive are searched as well. Only the images are required; missing lists are logged
once.
"""
from pathlib import Path

import numpy as np

from configs.reading import read_text, shown
from datasets.faces import Faces, check_root, split_by_name, warn_once
from models.geometry import TEMPLATES
from models.image_io import IMAGE_SUFFIXES, list_images

_SUBFOLDERS = ('', 'Anno', 'Eval', 'Img', 'celeba')
_ALIGNED = ('img_align_celeba', 'img_align_celeba_png', 'img_align_celeba_png.7z/img_align_celeba_png')
_WILD = ('img_celeba', 'img_celeba.7z/img_celeba')
_MISSING = {
    'identity_CelebA.txt': 'each image is a separate identity',
    'list_landmarks_align_celeba.txt': 'landmarks are unknown, the images are assumed to be aligned',
    'list_eval_partition.txt': 'train, validation and test are split 80/10/10 by identity',
    'list_attr_celeba.txt': 'there are no attributes',
    'list_bbox_celeba.txt': 'there are no face boxes',
}


def celeba(root: str | Path, partition: str = 'all', *, aligned: bool | None = None) -> Faces:
    """The images of a CelebA folder.

    aligned: True for the aligned images, False for the images in the wild, None for the aligned ones if they exist. `columns` of
    the result hold the 40 attributes by name, (N,) bool, and `box`, (N,4) x, y, width, height in pixels, if their lists exist.
    Raises ValueError if there are no images, if images in the wild have no landmarks, and for malformed lists.
    """
    root = check_root(root)
    folder = _folder(root, _WILD if aligned is False else _ALIGNED + _WILD if aligned is None else _ALIGNED)
    aligned = 'align' in folder.name
    present = {Path(name).stem: name for name in list_images(folder)}
    if not present:
        raise ValueError(f'{folder} holds no image; unpack the archive of CelebA there')

    landmarks = 'list_landmarks_align_celeba.txt' if aligned else 'list_landmarks_celeba.txt'
    missing = [f'no {name} ({effect})' for name, effect in _MISSING.items() if find_list(root, name) is None
               and (aligned or 'align' not in name)]
    if missing:
        warn_once(f'{root} has {"; ".join(missing)}')
    identity, points, split = (_table(root, name) for name in ('identity_CelebA.txt', landmarks, 'list_eval_partition.txt'))
    if points is None and not aligned:
        raise ValueError(f'{root} lacks list_landmarks_celeba.txt, without which images in the wild cannot be aligned; '
                         'add it, or align the images with scripts/prepare_data.py')
    # Images missing from a list are left out.
    stems = sorted(set(present).intersection(*(table for table in (identity, points, split) if table is not None)))
    if not stems:
        raise ValueError(f'the lists under {root} name none of the images in {folder}; they belong to another set')
    if len(stems) < len(present):
        warn_once(f'{root}: {len(present) - len(stems)} of {len(present)} images are missing from a list and are left out')
    listed = max((len(table) for table in (identity, points, split) if table is not None), default=0)
    if listed > len(stems):
        warn_once(f'{root} holds a part of CelebA only: {len(stems)} of {listed} listed images')

    names = stems if identity is None else [identity[stem][0] for stem in stems]
    faces = Faces(folder, [present[stem] for stem in stems], names,
                  points=None if points is None else numbers([points[stem] for stem in stems], 10).reshape(-1, 5, 2),
                  splits=split_by_name(names) if split is None else split_numbers(root, [split[stem][0] for stem in stems]),
                  frame=TEMPLATES['celeba'] if aligned else None, columns=_columns(root, stems))
    return faces.partition(partition)


def find_list(root: Path, name: str) -> Path | None:
    """Path of a list of the official archive, or None."""
    return next((root / folder / name for folder in _SUBFOLDERS if (root / folder / name).is_file()), None)


def read_list(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Column names (empty if the list has no header) and file stem -> values. Raises ValueError for a malformed line."""
    header: list[str] = []
    rows: dict[str, list[str]] = {}
    width = None
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split()
        if not fields or (number == 1 and len(fields) == 1):  # an optional first line holds the number of images
            continue
        if Path(fields[0]).suffix.lower() not in IMAGE_SUFFIXES:
            if rows or header:
                raise ValueError(f'{path}, line {number}: {line[:60]!r} does not begin with an image name')
            header = fields[1:] if fields[0].endswith('_id') else fields
            continue
        width = len(fields) if width is None else width
        if len(fields) != width or width < 2:
            raise ValueError(f'{path}, line {number}: {len(fields)} fields where {max(width, 2)} are expected')
        rows[Path(fields[0]).stem] = fields[1:]
    return header, rows


def _folder(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for subfolder in _SUBFOLDERS:
            folder = root / subfolder / name
            if folder.is_dir():  # some mirrors have the folder inside a folder of the same name
                return folder / folder.name if (folder / folder.name).is_dir() else folder
    raise ValueError(f'{root} holds none of {", ".join(names)}; give the folder that holds CelebA\'s images')


def _table(root: Path, name: str) -> dict[str, list[str]] | None:
    path = find_list(root, name)
    return None if path is None else read_list(path)[1]


def numbers(rows: list[list[str]], width: int) -> np.ndarray:
    """(N, width) float32 of the rows of a list. Raises ValueError for values that are not finite numbers."""
    try:
        values = np.array(rows, np.float64)
    except ValueError as error:
        raise ValueError(f'a list of CelebA holds a value that is no number ({shown(error)}); unpack the list again') from error
    if not np.isfinite(values).all():
        raise ValueError('a list of CelebA holds a number that is not finite; unpack the list again')
    if values.shape[1] != width:
        raise ValueError(f'a list of CelebA has {values.shape[1]} values per image where {width} are expected')
    return values.astype(np.float32)


def split_numbers(root: Path, values: list[str]) -> np.ndarray:
    """(N,) int8 of the values of list_eval_partition.txt; raises ValueError for a value other than 0, 1 and 2."""
    unknown = set(values) - {'0', '1', '2'}
    if unknown:
        raise ValueError(f'list_eval_partition.txt of {root} holds {shown(repr(min(unknown)))}; its values are 0, 1 and 2')
    return np.array(values, np.int8)


def _columns(root: Path, stems: list[str]) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for name in ('list_attr_celeba.txt', 'list_bbox_celeba.txt'):
        path = find_list(root, name)
        if path is None:
            continue
        header, rows = read_list(path)
        missing = [stem for stem in stems if stem not in rows]
        if missing:
            warn_once(f'{path} does not name {len(missing)} images, such as {missing[0]}: the list is ignored')
            continue
        values = numbers([rows[stem] for stem in stems], len(header) if 'attr' in name else 4)
        columns.update({title: values[:, i] > 0 for i, title in enumerate(header)} if 'attr' in name else {'box': values})
    return columns
