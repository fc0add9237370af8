"""Small data sets in the published layouts, written to a folder."""
import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datasets.identity_folder import LANDMARK_COLUMNS
from models.geometry import TEMPLATES

POINTS = np.round(np.array(TEMPLATES['celeba'].points)).astype(int)


def image(seed: int, width: int = 178, height: int = 218) -> np.ndarray:
    """(H,W,3) uint8: a smooth random image, which JPEG compression changes little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def write(path: Path, array: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def celeba(root: Path, num_identities: int = 7, each: int = 3, *, suffix: str = '.jpg', nested: bool = False) -> Path:
    """CelebA with num_identities * each aligned images. Identities are 100, 101, ...; of the last three, one is for validation
    and two are for test. nested: lists and images in Anno/, Eval/ and Img/."""
    images = root / ('Img' if nested else '') / 'img_align_celeba'
    lists, evaluation = root / ('Anno' if nested else ''), root / ('Eval' if nested else '')
    rows: dict[str, list[str]] = {
        'identity_CelebA.txt': [], 'list_eval_partition.txt': [], 'list_landmarks_align_celeba.txt': [],
        'list_attr_celeba.txt': [], 'list_bbox_celeba.txt': []}
    for i in range(num_identities * each):
        name, label = f'{i + 1:06d}.jpg', i % num_identities
        write((images / name).with_suffix(suffix), image(i), **({'quality': 95} if suffix == '.jpg' else {}))
        rows['identity_CelebA.txt'].append(f'{name} {100 + label}')
        rows['list_eval_partition.txt'].append(f'{name} {min(2, max(0, label - num_identities + 4))}')
        rows['list_landmarks_align_celeba.txt'].append(f'{name}  ' + '  '.join(map(str, POINTS.flatten())))
        rows['list_attr_celeba.txt'].append(f'{name} {1 if i % 2 else -1} -1')
        rows['list_bbox_celeba.txt'].append(f'{name} {i} 2 30 40')
    titles = {'list_landmarks_align_celeba.txt': ' '.join(LANDMARK_COLUMNS[2:]), 'list_attr_celeba.txt': 'Smiling Bald',
              'list_bbox_celeba.txt': 'image_id x_1 y_1 width height'}
    for name, lines in rows.items():
        folder = evaluation if 'partition' in name else lists
        folder.mkdir(parents=True, exist_ok=True)
        head = [str(num_identities * each), titles[name]] if name in titles else []
        (folder / name).write_text('\n'.join(head + lines) + '\n')
    return root


def folders(root: Path, num_identities: int = 5, each: int = 3, *, landmarks: bool = True) -> Path:
    """Identity folders with images of the size of aligned CelebA. landmarks: with landmarks.csv."""
    rows = []
    for i in range(num_identities * each):
        label = f'person_{i % num_identities}'
        name = f'{label}/{label}_{i // num_identities}.png'
        write(root / name, image(i))
        rows.append([name, label, *POINTS.flatten()])
    if landmarks:
        with (root / 'landmarks.csv').open('w', newline='', encoding='utf-8-sig') as handle:
            csv.writer(handle).writerows([LANDMARK_COLUMNS, *rows])
    return root


def mask(size: int, *boxes: tuple[float, float, float, float]) -> np.ndarray:
    """(H,W) uint8, 255 inside the boxes (x0, y0, x1, y1), in units of the side."""
    array = np.zeros((size, size), np.uint8)
    for box in boxes:
        x0, y0, x1, y1 = (round(value * size) for value in box)
        array[y0:y1, x0:x1] = 255
    return array


def celebamask(root: Path, numbers: Iterable[int] = (0, 1, 2001), *, side: int = 128, mask_side: int = 64, left: str = 'l',
               right: str = 'r') -> Path:
    """CelebAMask-HQ with masks of skin, eyes, nose, lips and hair. left: prefix of the parts on the viewer's left."""
    parts = {'skin': [(.2, .2, .8, .95)], f'{left}_eye': [(.34, .42, .42, .48)], f'{right}_eye': [(.58, .42, .66, .48)],
             'nose': [(.45, .45, .55, .64)], 'u_lip': [(.4, .7, .6, .74)], 'hair': [(.2, .0, .8, .25)]}
    for number in numbers:
        write(root / 'CelebA-HQ-img' / f'{number}.jpg', image(number, side, side), quality=95)
        for part, boxes in parts.items():
            write(root / 'CelebAMask-HQ-mask-anno' / str(number // 2000) / f'{number:05d}_{part}.png', mask(mask_side, *boxes))
    return root


def domains(root: Path, *, a: int = 6, b: int = 4) -> Path:
    """Two-domain folders of `<identity>__<number>.jpg`. a, b: number of training images of each domain."""
    for folder, count in (('trainA', a), ('trainB', b), ('testA', 2), ('testB', 3)):
        for i in range(count):
            write(root / folder / f'someone_{i % 3}__{i:02d}.jpg', image(i, 80, 100))
    return root
