"""Images, landmarks and partitions of WebCaricature, in the official layout or in two-domain folders.

The official layout, whose lists are separated by tabs or spaces:

    OriginalImages/NAME/P00001.jpg, C00001.jpg     photos and caricatures of an identity
    FacialPoints/NAME/P00001.txt                   17 lines "x y", in the order of LANDMARKS
    EvaluationProtocols/FaceVerification/Restricted/RestrictedView1_DevTrain.txt, RestrictedView1_DevTest.txt, RestrictedView2.txt
    EvaluationProtocols/FaceVerification/UnRestricted/UnRestrictedView1_DevTrain.txt, ...
    EvaluationProtocols/FaceIdentification/FR_Train_dev.txt, FR_Train1.txt, ..., C2P/FR_Gallery_C2P_dev.txt, ...

View 1 (dev) is for model selection, the folds of view 2 are for reporting. The other layout has the folders trainA, trainB, testA
and testB of `<identity>__<number>.jpg`, A photos and B drawings, with an optional landmarks.csv as in datasets.identity_folder.
Square images without landmarks are assumed to be aligned to the template `face`, as in datasets.unpaired.
"""
import re
from pathlib import Path

import numpy as np

from configs.reading import read_text
from datasets.faces import PARTITIONS, Faces, check_root, read_image, split_by_name
from datasets.identity_folder import read_landmarks
from datasets.webcaricature.lists import listed_names, plain_name, read_blocks, read_lines, verification_list
from models.geometry import TEMPLATES
from models.image_io import list_images

# Left and right are the viewer's.
LANDMARKS = ('hairline', 'l_ear', 'chin', 'r_ear', 'l_brow_l', 'l_brow_r', 'r_brow_l', 'r_brow_r', 'l_eye_l', 'l_eye_r',
             'r_eye_l', 'r_eye_r', 'nose', 'lip_top', 'mouth_l', 'lip_bottom', 'mouth_r')
_INDICES_OF_68 = [0, 8, 16, 17, 21, 22, 26, 36, 39, 42, 45, 30, 51, 48, 57, 54]  # of LANDMARKS[1:] among the 68 of iBUG
FOLDS = 10  # number of folds of view 2
IMAGE_NAME = re.compile(r'[CP]\d{5}')
_FOLD_PARTITION = re.compile(rf'(verification|identification)-([1-9]|{FOLDS})(-test)?')


def five_landmarks(points: np.ndarray) -> np.ndarray:
    """(...,17,2) landmarks -> (...,5,2): centers of the eyes (mean of the corners), nose tip, corners of the mouth."""
    index = LANDMARKS.index
    eyes = [points[..., index(f'{side}_eye_l'):index(f'{side}_eye_r') + 1, :].mean(-2) for side in 'lr']
    return np.stack([*eyes, *(points[..., index(name), :] for name in ('nose', 'mouth_l', 'mouth_r'))], -2)


def landmarks_from_68(landmarks: np.ndarray) -> np.ndarray:
    """The 17 landmarks (17,2) from the 68 landmarks (68,2) of iBUG. The hairline, which is not among these, is estimated above
    the brows at three quarters of their distance to the chin."""
    brows = landmarks[17:27].mean(0)
    return np.concatenate([[brows + 0.75 * (brows - landmarks[8])], landmarks[_INDICES_OF_68]])


def webcaricature(root: str | Path, partition: str = 'all') -> Faces:
    """The images of either layout. columns: drawing (N,) bool, landmarks (N,17,2) in pixels, NaN where unknown.

    Partitions are disjoint by identity: `all`; in the official layout `train` and `test` (or `validation`), the two parts of
    unrestricted view 1, and `verification-K` and `identification-K` with K from 1 to 10, the training identities of fold K of
    view 2, or with the suffix `-test` the other identities. In the other layout `train`, `validation` (the tenth of the training
    identities that datasets.unpaired holds out) and `test`. Raises ValueError for another layout or partition.
    """
    root = check_root(root)
    if (root / 'OriginalImages').is_dir():
        return _official_partition(_official(root), partition)
    if all((root / f'{part}{side}').is_dir() for part in ('train', 'test') for side in 'AB'):
        return _two_domains(root).partition(partition)
    raise ValueError(f'{root} holds neither OriginalImages nor trainA, trainB, testA and testB; give the folder of WebCaricature')


def is_official(faces: Faces) -> bool:
    """Whether the faces are stored in the official layout, whose lists have two views."""
    return (faces.root / 'OriginalImages').is_dir()


def _official(root: Path) -> Faces:
    files = [name for name in list_images(root / 'OriginalImages', deep=True) if IMAGE_NAME.fullmatch(Path(name).stem)]
    names = [name.split('/')[0] for name in files]
    landmarks = np.full((len(files), len(LANDMARKS), 2), np.nan, np.float32)
    for row, name in enumerate(files):
        path = (root / 'FacialPoints' / name).with_suffix('.txt')
        if path.is_file():
            landmarks[row] = _read_points(path)
    points = None if np.isnan(landmarks).all() else five_landmarks(landmarks)
    return Faces(root, [f'OriginalImages/{name}' for name in files], names, points=points,
                 columns={'drawing': np.array([Path(name).stem[0] == 'C' for name in files], bool), 'landmarks': landmarks})


def _read_points(path: Path) -> np.ndarray:
    """Landmarks (17,2) of a file. Raises ValueError if it is malformed."""
    try:
        points = np.array([line.replace(',', ' ').split() for line in read_text(path).splitlines() if line.strip()], np.float32)
    except ValueError:
        points = np.empty(0, np.float32)
    if points.shape != (len(LANDMARKS), 2):
        raise ValueError(f'{path} does not hold {len(LANDMARKS)} lines of two numbers')
    return points


def _official_partition(faces: Faces, partition: str) -> Faces:
    if partition == 'all':
        return faces
    root, is_test = faces.root, partition.endswith('-test')
    if match := _FOLD_PARTITION.fullmatch(partition):
        train = _fold_train_names(root, match[1], int(match[2]))
    elif partition in PARTITIONS:
        part = 'Train' if partition == 'train' else 'Test'
        train = {name for lines in read_blocks(verification_list(root, 'unrestricted', f'View1_Dev{part}'), 1)
                 for name in listed_names(lines)}
    else:
        raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}, all, verification-K and '
                         f'identification-K with K from 1 to {FOLDS}, each also with -test')
    is_listed = np.array([plain_name(name) in train for name in faces.identity_names])[faces.labels]
    keep = np.flatnonzero(~is_listed if is_test else is_listed)
    if not len(keep):
        raise ValueError(f'partition {partition!r} of {root} is empty; compare the names of its lists with those of its folders')
    return faces.select(keep)


def _fold_train_names(root: Path, kind: str, number: int) -> set[str]:
    """Names of the training identities of a fold of view 2. kind: verification or identification. number: from 1."""
    if kind == 'identification':
        return set(listed_names(read_lines(root / f'EvaluationProtocols/FaceIdentification/FR_Train{number}.txt')))
    parts = [listed_names(lines) for lines in read_blocks(verification_list(root, 'unrestricted', 'View2'), 1)]
    if number > len(parts):
        raise ValueError(f'{root} lists {len(parts)} folds, so there is no fold {number}')
    return {name for fold, names in enumerate(parts, 1) if fold != number for name in names}


def _two_domains(root: Path) -> Faces:
    files: list[str] = []
    is_drawing: list[bool] = []
    parts: list[int] = []
    for part in ('train', 'test'):
        for side in 'AB':
            names = list_images(root / f'{part}{side}')
            files += [f'{part}{side}/{name}' for name in names]
            is_drawing += [side == 'B'] * len(names)
            parts += [PARTITIONS.index(part)] * len(names)
    identities = [Path(name).stem.split('__')[0] for name in files]
    splits, validation = np.array(parts, np.int8), PARTITIONS.index('validation')
    splits[(splits == PARTITIONS.index('train')) & (split_by_name(identities) == validation)] = validation
    table = read_landmarks(root / 'landmarks.csv') if (root / 'landmarks.csv').is_file() else {}
    points = np.stack([table.get(name, np.full((5, 2), np.nan, np.float32)) for name in files]) if table else None
    height, width = read_image(root / files[0]).shape[:2] if files else (0, 0)
    return Faces(root, files, identities, points=points, splits=splits, frame=TEMPLATES['face'] if height == width else None,
                 columns={'drawing': np.array(is_drawing, bool),
                          'landmarks': np.full((len(files), len(LANDMARKS), 2), np.nan, np.float32)})
