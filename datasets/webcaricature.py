"""Photos and caricatures of the same identities: WebCaricature (Huo et al. 2018, arXiv:1703.03230), and two-domain folders.

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.reading import read_text, shown
from datasets.faces import PARTITIONS, Faces, check_root, images_in, read_image, split_by_name, warn_once
from datasets.identity_folder import read_landmarks
from models.geometry import TEMPLATES

# Left and right are the viewer's.
LANDMARKS = ('hairline', 'l_ear', 'chin', 'r_ear', 'l_brow_l', 'l_brow_r', 'r_brow_l', 'r_brow_r', 'l_eye_l', 'l_eye_r',
             'r_eye_l', 'r_eye_r', 'nose', 'lip_top', 'mouth_l', 'lip_bottom', 'mouth_r')
_OF_68 = [0, 8, 16, 17, 21, 22, 26, 36, 39, 42, 45, 30, 51, 48, 57, 54]  # all but the hairline among the 68 of iBUG
FOLDS = 10
SETTINGS = ('restricted', 'unrestricted', 'c2p', 'p2c')
_IMAGE = re.compile(r'[CP]\d{5}')
_OF_FOLD = re.compile(rf'(verification|identification)-([1-9]|{FOLDS})(-test)?')
_FILTERED = 'report.csv'  # marks a data set from which images were filtered out


@dataclass(frozen=True)
class Fold:
    """The comparisons of a fold: rows (P,) of the probes and (G,) of a gallery of the other kind. pairs: (N,2) indices into
    probes and gallery for restricted verification; None for all pairs."""

    name: str
    probes: np.ndarray
    gallery: np.ndarray
    pairs: np.ndarray | None = None


def five(points: np.ndarray) -> np.ndarray:
    """(...,17,2) landmarks -> (...,5,2): centers of the eyes (mean of the corners), nose tip, corners of the mouth."""
    at = LANDMARKS.index
    eyes = [points[..., at(f'{side}_eye_l'):at(f'{side}_eye_r') + 1, :].mean(-2) for side in 'lr']
    return np.stack([*eyes, *(points[..., at(name), :] for name in ('nose', 'mouth_l', 'mouth_r'))], -2)


def seventeen(landmarks: np.ndarray) -> np.ndarray:
    """The 17 landmarks (17,2) from the 68 landmarks (68,2) of iBUG. The hairline, which is not among these, is estimated above
    the brows at three quarters of their distance to the chin."""
    brows = landmarks[17:27].mean(0)
    return np.concatenate([[brows + 0.75 * (brows - landmarks[8])], landmarks[_OF_68]])


def plain_name(name: str) -> str:
    """Normalized name of an identity: 'Aamir Khan' and 'aamir_khan' are equal."""
    return re.sub(r'[\W_]+', ' ', name).strip().casefold()


def webcaricature(root: str | Path, partition: str = 'all') -> Faces:
    """The images of either layout. columns: drawing (N,) bool, landmarks (N,17,2) in pixels, NaN where unknown.

    Partitions are disjoint by identity: `all`; in the official layout `train` and `test` (or `validation`), the two parts of
    unrestricted view 1, and `verification-K` and `identification-K` with K from 1 to 10, the training identities of fold K of
    view 2, or with the suffix `-test` the other identities. In the other layout `train`, `validation` (the tenth of the training
    identities that datasets.unpaired holds out) and `test`. Raises ValueError for another layout or partition.
    """
    root = check_root(root)
    if (root / 'OriginalImages').is_dir():
        return _part(_official(root), partition)
    if all((root / f'{part}{side}').is_dir() for part in ('train', 'test') for side in 'AB'):
        return _two_domains(root).partition(partition)
    raise ValueError(f'{root} holds neither OriginalImages nor trainA, trainB, testA and testB; give the folder of WebCaricature')


def folds(faces: Faces, setting: str, view: int = 2, *, seed: int = 0) -> list[Fold]:
    """The folds of one of SETTINGS. faces: the partition `all`.

    Verification compares caricatures with photos: the listed pairs (restricted), or all pairs of the fold (unrestricted).
    Identification has caricature probes and a gallery of photos of all identities (c2p), or the converse (p2c). A layout without
    lists has no restricted setting and no view 1; its drawings (for p2c its photos) of the identities of `test` are divided into
    10 folds by the seed, and are compared with all photos of these identities, or with one photo of each for identification.
    Raises ValueError for an unknown setting or view, and for a missing list or image.
    """
    if setting not in SETTINGS or view not in (1, 2):
        raise ValueError(f'unknown setting {setting!r} or view {view}; known: {", ".join(SETTINGS)}, in the views 1 and 2')
    if not is_official(faces):
        if setting == 'restricted' or view == 1:
            raise ValueError(f'{faces.root} has no lists of pairs; use the settings unrestricted, c2p and p2c in view 2')
        return _dealt(faces, setting, seed)
    lookup = _ImageLookup(faces)
    if setting in ('c2p', 'p2c'):
        folder, kind = faces.root / f'EvaluationProtocols/FaceIdentification/{setting.upper()}', setting.upper()
        return [Fold(name, *(lookup.listed(folder / f'FR_{part}_{kind}{name}.txt') for part in ('Probe', 'Gallery')))
                for name in (['_dev'] if view == 1 else map(str, range(1, FOLDS + 1)))]
    path = _verification(faces.root, setting, 'View1_DevTest' if view == 1 else 'View2')
    build = lookup.pairs if setting == 'restricted' else lookup.all_pairs
    return [build(str(number), path, lines) for number, lines in enumerate(_blocks(path, 2 if setting == 'restricted' else 1), 1)]


def fold_identities(faces: Faces, fold: Fold) -> set[str]:
    """The normalized names of all identities of a fold."""
    labels = np.unique(faces.labels[np.concatenate([fold.probes, fold.gallery])])
    return {plain_name(name) for name in faces.identity_names[labels]}


# -- The official layout ----------------------------------------------------------------------------------------------------


def is_official(faces: Faces) -> bool:
    """Whether the faces are stored in the official layout, whose lists have two views."""
    return (faces.root / 'OriginalImages').is_dir()


def _official(root: Path) -> Faces:
    files = [name for name in images_in(root / 'OriginalImages', deep=True) if _IMAGE.fullmatch(Path(name).stem)]
    names = [name.split('/')[0] for name in files]
    landmarks = np.full((len(files), len(LANDMARKS), 2), np.nan, np.float32)
    for row, name in enumerate(files):
        path = (root / 'FacialPoints' / name).with_suffix('.txt')
        if path.is_file():
            landmarks[row] = _read_points(path)
    points = None if np.isnan(landmarks).all() else five(landmarks)
    return Faces(root, [f'OriginalImages/{name}' for name in files], names, points=points,
                 columns={'drawing': np.array([Path(name).stem[0] == 'C' for name in files], bool), 'landmarks': landmarks})


def _read_points(path: Path) -> np.ndarray:
    """Landmarks (17,2) of a file. Raises ValueError if it is malformed."""
    try:
        points = np.array([line.replace(',', ' ').split() for line in read_text(path).splitlines() if line.strip()], np.float32)
    except ValueError:
        points = np.empty(0)
    if points.shape != (len(LANDMARKS), 2):
        raise ValueError(f'{path} does not hold {len(LANDMARKS)} lines of two numbers')
    return points


def _part(faces: Faces, partition: str) -> Faces:
    if partition == 'all':
        return faces
    root, match = faces.root, _OF_FOLD.fullmatch(partition)
    if match:
        kind, number, test = match.groups()
        if kind == 'verification':
            parts = [_named(lines) for lines in _blocks(_verification(root, 'unrestricted', 'View2'), 1)]
            if int(number) > len(parts):
                raise ValueError(f'{root} lists {len(parts)} folds, and so none for {partition!r}')
            train = {name for fold, names in enumerate(parts, 1) if fold != int(number) for name in names}
        else:
            train = set(_named(_lines(root / f'EvaluationProtocols/FaceIdentification/FR_Train{number}.txt')))
    elif partition in PARTITIONS:
        part, test = 'Train' if partition == 'train' else 'Test', False
        train = {name for lines in _blocks(_verification(root, 'unrestricted', f'View1_Dev{part}'), 1) for name in _named(lines)}
    else:
        raise ValueError(f'unknown partition {partition!r}; known: {", ".join(PARTITIONS)}, all, verification-K and '
                         f'identification-K with K from 1 to {FOLDS}, each also with -test')
    inside = np.array([plain_name(name) in train for name in faces.identity_names])[faces.labels]
    keep = np.flatnonzero(~inside if test else inside)
    if not len(keep):
        raise ValueError(f'partition {partition!r} of {root} is empty; compare the names of its lists with those of its folders')
    return faces.select(keep)


def _verification(root: Path, setting: str, part: str) -> Path:
    kind = 'Restricted' if setting == 'restricted' else 'UnRestricted'
    return root / f'EvaluationProtocols/FaceVerification/{kind}/{kind}{part}.txt'


def _lines(path: Path) -> list[list[str]]:
    """The words of each line. Raises ValueError if the list is missing."""
    if not path.is_file():
        raise ValueError(f'{path} is missing; unpack EvaluationProtocols of WebCaricature there')
    return [line.split() for line in path.read_text(encoding='utf-8-sig', errors='replace').splitlines() if line.strip()]


def _blocks(path: Path, per: int) -> Iterator[list[list[str]]]:
    """The lines of each fold. A fold begins with a line with a number n, followed by n * per lines; the number of folds may
    precede the first fold."""
    lines = _lines(path)
    lone = [len(words) == 1 and words[0].isdecimal() for words in lines]
    place = 1 if lone[:2] == [True, True] else 0
    while place < len(lines):
        end = place + 1 + per * int(lines[place][0]) if lone[place] else 0
        if not place < end <= len(lines) or any(lone[place + 1:end]):
            raise ValueError(f'{path} does not hold what it announces in {shown(repr(" ".join(lines[place])))}')
        yield lines[place + 1:end]
        place = end


def _named(lines: list[list[str]]) -> list[str]:
    """Normalized names from lines of a name, a number of caricatures and a number of photos."""
    return [plain_name(' '.join(words[:-2])) for words in lines]


class _ImageLookup:
    """Look-up of image rows by the names and numbers in lists."""

    def __init__(self, faces: Faces):
        self.faces, self.drawing = faces, faces.columns['drawing']
        names = [plain_name(name) for name in faces.identity_names]
        self.labels = {name: label for label, name in enumerate(names)}
        self.rows = {(names[label], Path(str(file)).stem): row
                     for row, (file, label) in enumerate(zip(faces.files, faces.labels))}
        self.filtered = (faces.root / _FILTERED).is_file()

    def row(self, path: Path, name: list[str], image: str) -> int | None:
        """Row of an image; None if it was filtered out."""
        row = self.rows.get((plain_name(' '.join(name)), image))
        if row is None and not self.filtered:
            raise ValueError(f'{path} names {" ".join(name)} {image}, which is not among the images of {self.faces.root}')
        return row

    def listed(self, path: Path) -> np.ndarray:
        """Rows of a list of "NAME P00001" lines, whose parts a slash may separate."""
        rows = []
        for words in _lines(path):
            *name, image = ' '.join(words).replace('\\', '/').replace('/', ' ').removesuffix('.jpg').split()
            rows.append(self.row(path, name, image))
        return self._kept(path, rows)

    def pairs(self, name: str, path: Path, lines: list[list[str]]) -> Fold:
        """Lines of "NAME C00001 P00001" and "NAME C00001 NAME P00001"."""
        found = []
        for words in lines:
            at = [place for place, word in enumerate(words) if _IMAGE.fullmatch(word)]
            if len(at) != 2 or at[0] == 0 or at[1] != len(words) - 1 or {words[place][0] for place in at} != {'C', 'P'}:
                raise ValueError(f'{path}: {" ".join(words)!r} is no pair of a caricature and a photo')
            first, second = words[:at[0]], words[at[0] + 1:at[1]]
            rows = self.row(path, first, words[at[0]]), self.row(path, second or first, words[at[1]])
            found.append(None if None in rows else rows if words[at[0]][0] == 'C' else rows[::-1])
        pairs = self._kept(path, found).reshape(-1, 2)
        (probes, first), (gallery, second) = (np.unique(side, return_inverse=True) for side in pairs.T)
        return Fold(name, probes, gallery, np.stack([first, second], 1))

    def all_pairs(self, name: str, path: Path, lines: list[list[str]]) -> Fold:
        """All caricatures and all photos of the identities of a fold."""
        labels = [self.labels.get(name) for name in _named(lines)]
        if None in labels and not self.filtered:
            absent = ' '.join(lines[labels.index(None)][:-2])
            raise ValueError(f'{path} names {absent}, of whom {self.faces.root} has no image')
        inside = np.isin(self.faces.labels, [label for label in labels if label is not None])
        return Fold(name, np.flatnonzero(inside & self.drawing), np.flatnonzero(inside & ~self.drawing))

    @staticmethod
    def _kept(path: Path, values: list) -> np.ndarray:
        kept = [value for value in values if value is not None]
        if len(kept) < len(values):
            warn_once(f'{path}: {len(values) - len(kept)} of {len(values)} lines name images that were filtered out')
        return np.array(kept, np.int64)


# -- Two domains in folders -------------------------------------------------------------------------------------------------


def _two_domains(root: Path) -> Faces:
    files, drawing, splits = [], [], []
    for part in ('train', 'test'):
        for side in 'AB':
            found = images_in(root / f'{part}{side}')
            files += [f'{part}{side}/{name}' for name in found]
            drawing += [side == 'B'] * len(found)
            splits += [PARTITIONS.index(part)] * len(found)
    names = [Path(name).stem.split('__')[0] for name in files]
    splits, aside = np.array(splits, np.int8), PARTITIONS.index('validation')
    splits[(splits == PARTITIONS.index('train')) & (split_by_name(names) == aside)] = aside
    table = read_landmarks(root / 'landmarks.csv') if (root / 'landmarks.csv').is_file() else {}
    points = np.stack([table.get(name, np.full((5, 2), np.nan, np.float32)) for name in files]) if table else None
    height, width = read_image(root / files[0]).shape[:2] if files else (0, 0)
    return Faces(root, files, names, points=points, splits=splits, frame=TEMPLATES['face'] if height == width else None,
                 columns={'drawing': np.array(drawing, bool),
                          'landmarks': np.full((len(files), len(LANDMARKS), 2), np.nan, np.float32)})


def _dealt(faces: Faces, setting: str, seed: int) -> list[Fold]:
    rng, test = np.random.default_rng(seed), faces.splits == PARTITIONS.index('test')
    drawing = faces.columns['drawing']
    both = np.intersect1d(faces.labels[test & drawing], faces.labels[test & ~drawing])
    if not len(both):
        raise ValueError(f'{faces.root} shows nobody in testA and in testB; add images')
    test &= np.isin(faces.labels, both)
    searched = drawing if setting != 'p2c' else ~drawing
    probes, gallery = np.flatnonzero(test & searched), np.flatnonzero(test & ~searched)
    dealt = []
    for fold, part in enumerate(np.array_split(rng.permutation(probes), FOLDS), 1):
        shown = gallery if setting == 'unrestricted' else np.array(
            [rng.choice(gallery[faces.labels[gallery] == label]) for label in both])
        dealt.append(Fold(str(fold), np.sort(part), shown))
    return dealt
