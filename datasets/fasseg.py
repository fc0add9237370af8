"""Face images with coarse label maps in the layout of FASSEG (Khan et al. 2015).

    images/NAME.jpg     photos
    masks/NAME.png      label maps of ids of models.batch.COARSE
    index.csv           columns name and split, and optionally subset, the kind of the image
"""
from pathlib import Path

import cv2
import numpy as np

from configs.reading import read_rows
from datasets.faces import PARTITIONS, BrokenImage, Faces, warn_once
from models.batch import COARSE, PARTS
from models.image_io import ImageError, open_image

_EYE_IDS = {False: [PARTS.index('l_eye'), PARTS.index('r_eye')], True: [list(COARSE).index('eyes')]}  # key: coarse
_MOUTH_IDS = {False: [PARTS.index(name) for name in COARSE['mouth']], True: [list(COARSE).index('mouth')]}
_REFERENCE_WIDTH_PX = 256  # image width to which the following sizes refer
_MIN_EYE_AREA_PX, _MIN_MOUTH_AREA_PX, _MIN_EYE_DISTANCE_PX = 8, 20, 15


class FassegFaces(Faces):
    """Images with label maps in ids of COARSE."""

    has_parsing = True

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        path = self.path(index)
        return super().read(index)[0], _read_ids(path.parent.parent / 'masks' / f'{path.stem}.png'), None


def fasseg(root: Path) -> Faces:
    """The images of a folder whose masks have two eyes and a mouth, which alignment needs; others are left out and their number
    is logged. columns: subset (N,) str. Raises ValueError for a malformed index.csv and if no image is left."""
    rows = read_rows(root / 'index.csv', ('name', 'split'))
    if not rows or any(row['split'] not in PARTITIONS for row in rows):
        raise ValueError(f'{root / "index.csv"} needs the columns name and split, the latter one of {", ".join(PARTITIONS)}')
    faces = FassegFaces(root / 'images', [f'{row["name"]}.jpg' for row in rows], [row['name'] for row in rows],
                        splits=np.array([PARTITIONS.index(row['split']) for row in rows], np.int8),
                        columns={'subset': np.array([row.get('subset', '') for row in rows])})
    masks = (_read_ids(root / 'masks' / f'{row["name"]}.png') for row in rows)
    keep = [index for index, mask in enumerate(masks) if eye_mouth_centers(mask, True) is not None]
    if len(keep) < len(rows):
        warn_once(f'{root}: {len(rows) - len(keep)} of {len(rows)} images do not show two eyes and a mouth and are left out')
    if not keep:
        raise ValueError(f'no mask under {root} shows two eyes and a mouth; check that the ids are those of FASSEG')
    return faces.select(np.array(keep))


def eye_mouth_centers(labels: np.ndarray, coarse: bool) -> np.ndarray | None:
    """(3,2) float32: centers of the left eye, the right eye (the viewer's) and the mouth in a label map, in pixels; None if one
    is missing. labels: (H,W) ids of COARSE if `coarse`, otherwise of PARTS."""
    scale = labels.shape[1] / _REFERENCE_WIDTH_PX
    _, _, stats, centroids = cv2.connectedComponentsWithStats(np.isin(labels, _EYE_IDS[coarse]).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    eyes = [1 + k for k in np.argsort(-areas, kind='stable')[:2] if areas[k] >= _MIN_EYE_AREA_PX * scale ** 2]
    mouth = np.argwhere(np.isin(labels, _MOUTH_IDS[coarse]))
    if len(eyes) < 2 or len(mouth) < _MIN_MOUTH_AREA_PX * scale ** 2:
        return None
    left, right = sorted((centroids[k] for k in eyes), key=lambda point: point[0])
    if right[0] - left[0] < _MIN_EYE_DISTANCE_PX * scale:
        return None
    return np.stack([left, right, mouth.mean(0)[::-1]]).astype(np.float32)


def _read_ids(path: Path) -> np.ndarray:
    """Label map (H,W) uint8. Raises BrokenImage if it cannot be read or holds other ids."""
    try:
        with open_image(path) as mask:
            ids = np.array(mask)
    except ImageError as error:
        raise BrokenImage(f'the mask {error}') from error
    if ids.ndim != 2 or ids.max() >= len(COARSE):
        raise BrokenImage(f'{path} is no map of the ids 0 to {len(COARSE) - 1}')
    return ids
