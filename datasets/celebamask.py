"""CelebAMask-HQ (Lee et al. 2020) in its official layout: CelebA-HQ images with masks of 18 parts.

Files: CelebA-HQ-img/N.jpg, CelebAMask-HQ-mask-anno/K/NNNNN_part.png, CelebA-HQ-to-CelebA-mapping.txt. Overlapping masks are
merged in the published order, that of models.batch.PARTS: later parts overwrite earlier ones (a hat covers hair, hair covers an
eye). Masks are resized to the size of the image by nearest-neighbor interpolation.

In the official files l_ and r_ are the subject's left and right; in other data sets of this layout they are the viewer's, as in
PARTS. The convention is detected per image from the positions of the parts, and the sides are exchanged if necessary.
"""
from pathlib import Path

import numpy as np
from PIL.Image import Resampling

from configs.reading import read_text
from datasets.celeba import find_list, numbers, read_list, split_numbers
from datasets.faces import BrokenImage, Faces, check_root, split_by_name, warn_once
from datasets.transforms.joint import MIRRORED
from models.batch import PARTS
from models.geometry import TEMPLATES
from models.image_io import ImageError, list_images, open_image

_IMAGES, _MASKS, _MAPPING = 'CelebA-HQ-img', 'CelebAMask-HQ-mask-anno', 'CelebA-HQ-to-CelebA-mapping.txt'
_LIPS = ('mouth', 'u_lip', 'l_lip')
_HQ_SIDE_PX = 1024
_UNKNOWN_IDENTITY = 'pic' 'ture'  # prefix of names hashed by split_by_name; another value moves images to other partitions


class CelebAMask(Faces):
    """Images with label maps. Landmarks come from the lists of CelebA if available, otherwise from the masks."""

    has_parsing = True

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        image = super().read(index)[0]
        number = int(Path(str(self.files[index])).stem)
        labels = merge(self.root.parent / _MASKS / str(number // 2000), number, image.shape[:2])
        points = self.landmarks(index)
        if points is not None:
            points = (points + 0.5) * (image.shape[1] / _HQ_SIDE_PX) - 0.5
        else:
            points = points_of(labels)
        return image, labels, points


def celebamask(root: str | Path, partition: str = 'all') -> CelebAMask:
    """The images of a CelebAMask-HQ folder.

    Identities, partitions and landmarks are those of the lists of CelebA in the same folder, its Anno/ or its Eval/, by the
    mapping file. Without the mapping each image is a separate identity. Raises ValueError for another layout.
    """
    root = check_root(root)
    for folder in (_IMAGES, _MASKS):
        if not (root / folder).is_dir():
            raise ValueError(f'{root} holds no folder {folder}; give the folder CelebAMask-HQ of the official archive')
    files = [name for name in list_images(root / _IMAGES) if Path(name).stem.isdecimal()]
    files.sort(key=lambda name: int(Path(name).stem))
    if not files:
        raise ValueError(f'{root / _IMAGES} holds no image named by a number, such as 0.jpg')
    stems = _originals(root, [int(Path(name).stem) for name in files])
    tables = {name: _rows(root, name, stems, effect) for name, effect in (
        ('identity_CelebA.txt', 'each image is a separate identity'),
        ('list_eval_partition.txt', 'train, validation and test are split 80/10/10 by identity'),
        ('list_landmarks_celeba.txt', 'landmarks are estimated from the masks'))}
    identity, split, wild = tables.values()
    names = [f'{_UNKNOWN_IDENTITY} {Path(name).stem}' for name in files] if identity is None else [row[0] for row in identity]
    splits = split_by_name(names) if split is None else split_numbers(root, [row[0] for row in split])
    points = None if wild is None else hq_points(numbers(wild, 10).reshape(-1, 5, 2)).astype(np.float32)
    return CelebAMask(root / _IMAGES, files, names, points=points, splits=splits).partition(partition)


def merge(folder: Path, number: int, shape: tuple[int, int]) -> np.ndarray:
    """(H,W) uint8 label map in ids of PARTS from the part masks of an image. Raises BrokenImage if it has no mask."""
    labels = np.zeros(shape, np.uint8)
    has_mask = False
    for label, part in enumerate(PARTS[1:], 1):
        path = folder / f'{number:05d}_{part}.png'
        if not path.is_file():
            continue  # invisible parts have no file
        try:
            with open_image(path) as mask:
                mask = mask.convert('L')
        except ImageError as error:
            raise BrokenImage(f'the mask {error}') from error
        mask = mask if mask.size == shape[::-1] else mask.resize(shape[::-1], Resampling.NEAREST)
        labels[np.asarray(mask) > 127] = label
        has_mask = True
    if not has_mask:
        raise BrokenImage(f'{folder} holds no mask {number:05d}_<part>.png')
    return viewers_sides(labels)


def viewers_sides(labels: np.ndarray) -> np.ndarray:
    """The label map with l_ on the viewer's left: sides are exchanged if most l_ parts are to the right of the r_ parts, or
    of the center of the skin if only one of the two is visible."""
    def center(part: str) -> float | None:
        columns = np.nonzero((labels == PARTS.index(part)).any(0))[0]
        return columns.mean() if len(columns) else None

    middle, votes = center('skin'), 0
    for part in ('eye', 'brow', 'ear'):
        left, right = center(f'l_{part}'), center(f'r_{part}')
        left, right = (middle if left is None else left), (middle if right is None else right)
        votes += 0 if left is None or right is None else int(np.sign(left - right))
    return MIRRORED[labels] if votes > 0 else labels


def points_of(labels: np.ndarray) -> np.ndarray:
    """(5,2) landmarks in pixels, estimated from a label map.

    Eyes are centroids; the nose tip has the mean column of the nose and three quarters of its height; mouth corners are the
    outermost columns of mouth and lips. Invisible landmarks are those of the FFHQ template, whose crop is that of CelebA-HQ.
    """
    height, width = labels.shape
    points = np.array(TEMPLATES['ffhq'].scaled(width, height).points, np.float32)

    def pixels_of(*parts: str) -> tuple[np.ndarray, np.ndarray] | None:
        ys, xs = np.nonzero(np.isin(labels, [PARTS.index(part) for part in parts]))
        return (xs, ys) if len(xs) >= 4 else None

    for i, part in enumerate(('l_eye', 'r_eye')):
        if eye := pixels_of(part):
            points[i] = eye[0].mean(), eye[1].mean()
    if nose := pixels_of('nose'):
        points[2] = nose[0].mean(), nose[1].min() + 0.75 * np.ptp(nose[1])
    if lips := pixels_of(*_LIPS):
        for i, x in ((3, lips[0].min()), (4, lips[0].max())):
            points[i] = x, lips[1][lips[0] == x].mean()
    return points


def hq_points(wild: np.ndarray) -> np.ndarray:
    """Landmarks of CelebA in the wild (N,5,2) -> pixels of the 1024-pixel CelebA-HQ image.

    Karras et al. 2018 (progressive GANs), appendix C: x' = right eye - left eye, y' = eye center - mouth center,
    c = eye center - 0.1 y', s = max(4 |x'|, 3.6 |y'|), x = normalize(x' - rotate90(y')), y = rotate90(x). The image is
    the square of side s with center c and axes x and y.
    """
    eyes, mouth = wild[:, :2].mean(1), wild[:, 3:].mean(1)
    across, up = wild[:, 1] - wild[:, 0], eyes - mouth
    side = np.maximum(4.0 * np.linalg.norm(across, axis=1), 3.6 * np.linalg.norm(up, axis=1))[:, None, None]
    turned = np.stack([-up[:, 1], up[:, 0]], -1)
    x = across + turned
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.stack([-x[:, 1], x[:, 0]], -1)
    offset = wild - (eyes - 0.1 * up)[:, None]
    local = np.stack([(offset * x[:, None]).sum(-1), (offset * y[:, None]).sum(-1)], -1)
    return (local / side + 0.5) * _HQ_SIDE_PX - 0.5


def _originals(root: Path, numbers: list[int]) -> list[str] | None:
    """Stem of the original CelebA image of each CelebA-HQ number, or None without the mapping."""
    path = root / _MAPPING
    if not path.is_file():
        warn_once(f'{root} has no {_MAPPING}: each image is a separate identity, landmarks are estimated from the masks')
        return None
    rows = [line.split() for line in read_text(path).splitlines()]
    table = {int(row[0]): Path(row[2]).stem for row in rows if len(row) == 3 and row[0].isdecimal()}
    missing = [number for number in numbers if number not in table]
    if missing:
        raise ValueError(f'{path} does not name image {missing[0]} (and {len(missing) - 1} others); unpack the archive again')
    return [table[number] for number in numbers]


def _rows(root: Path, name: str, stems: list[str] | None, effect: str) -> list[list[str]] | None:
    if stems is None:
        return None
    path = find_list(root, name)
    if path is None:
        warn_once(f'{root} has no {name} of CelebA: {effect}')
        return None
    table = read_list(path)[1]
    missing = [stem for stem in stems if stem not in table]
    if missing:
        warn_once(f'{path} does not name {missing[0]} (and {len(missing) - 1} others): {effect}')
        return None
    return [table[stem] for stem in stems]
