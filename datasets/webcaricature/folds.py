"""Comparisons of photos with caricatures in the folds of WebCaricature."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.faces import PARTITIONS, Faces, warn_once
from datasets.webcaricature.layout import FOLDS, IMAGE_NAME, is_official
from datasets.webcaricature.lists import listed_names, plain_name, read_blocks, read_lines, verification_list

SETTINGS = ('restricted', 'unrestricted', 'c2p', 'p2c')
_FILTER_REPORT = 'report.csv'  # marks a data set from which images were filtered out


@dataclass(frozen=True)
class Fold:
    """The comparisons of a fold: rows (P,) of the probes and (G,) of a gallery of the other kind. pairs: (N,2) indices into
    probes and gallery for restricted verification; None for all pairs."""

    name: str
    probes: np.ndarray
    gallery: np.ndarray
    pairs: np.ndarray | None = None


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
        return _random_folds(faces, setting, seed)
    lookup = _ImageLookup(faces)
    if setting in ('c2p', 'p2c'):
        kind = setting.upper()
        folder = faces.root / f'EvaluationProtocols/FaceIdentification/{kind}'
        return [Fold(name, *(lookup.listed(folder / f'FR_{part}_{kind}{name}.txt') for part in ('Probe', 'Gallery')))
                for name in (['_dev'] if view == 1 else map(str, range(1, FOLDS + 1)))]
    path = verification_list(faces.root, setting, 'View1_DevTest' if view == 1 else 'View2')
    build, lines_per_item = (lookup.pairs, 2) if setting == 'restricted' else (lookup.all_pairs, 1)
    return [build(str(number), path, lines) for number, lines in enumerate(read_blocks(path, lines_per_item), 1)]


def fold_identities(faces: Faces, fold: Fold) -> set[str]:
    """The normalized names of all identities of a fold."""
    labels = np.unique(faces.labels[np.concatenate([fold.probes, fold.gallery])])
    return {plain_name(name) for name in faces.identity_names[labels]}


class _ImageLookup:
    """Look-up of image rows by the names and numbers in lists."""

    def __init__(self, faces: Faces):
        self.faces, self.is_drawing = faces, faces.columns['drawing']
        names = [plain_name(name) for name in faces.identity_names]
        self.labels = {name: label for label, name in enumerate(names)}
        self.rows = {(names[label], Path(str(file)).stem): row
                     for row, (file, label) in enumerate(zip(faces.files, faces.labels))}
        self.is_filtered = (faces.root / _FILTER_REPORT).is_file()

    def row(self, path: Path, name: list[str], image: str) -> int | None:
        """Row of an image; None if it was filtered out."""
        row = self.rows.get((plain_name(' '.join(name)), image))
        if row is None and not self.is_filtered:
            raise ValueError(f'{path} names {" ".join(name)} {image}, which is not among the images of {self.faces.root}')
        return row

    def listed(self, path: Path) -> np.ndarray:
        """Rows of a list of "NAME P00001" lines, whose parts a slash may separate."""
        rows = []
        for words in read_lines(path):
            *name, image = ' '.join(words).replace('\\', '/').replace('/', ' ').removesuffix('.jpg').split()
            rows.append(self.row(path, name, image))
        return self._present(path, rows)

    def pairs(self, name: str, path: Path, lines: list[list[str]]) -> Fold:
        """A fold of the lines "NAME C00001 P00001" and "NAME C00001 NAME P00001"."""
        rows = []
        for words in lines:
            images = [column for column, word in enumerate(words) if IMAGE_NAME.fullmatch(word)]
            if (len(images) != 2 or images[0] == 0 or images[1] != len(words) - 1
                    or {words[column][0] for column in images} != {'C', 'P'}):
                raise ValueError(f'{path}: {" ".join(words)!r} is no pair of a caricature and a photo')
            first, second = words[:images[0]], words[images[0] + 1:images[1]]
            pair = self.row(path, first, words[images[0]]), self.row(path, second or first, words[images[1]])
            rows.append(None if None in pair else pair if words[images[0]][0] == 'C' else pair[::-1])
        pairs = self._present(path, rows).reshape(-1, 2)
        (probes, first_index), (gallery, second_index) = (np.unique(side, return_inverse=True) for side in pairs.T)
        return Fold(name, probes, gallery, np.stack([first_index, second_index], 1))

    def all_pairs(self, name: str, path: Path, lines: list[list[str]]) -> Fold:
        """A fold of all caricatures and all photos of the listed identities."""
        labels = [self.labels.get(listed) for listed in listed_names(lines)]
        if None in labels and not self.is_filtered:
            absent = ' '.join(lines[labels.index(None)][:-2])
            raise ValueError(f'{path} names {absent}, of which {self.faces.root} has no image')
        in_fold = np.isin(self.faces.labels, [label for label in labels if label is not None])
        return Fold(name, np.flatnonzero(in_fold & self.is_drawing), np.flatnonzero(in_fold & ~self.is_drawing))

    @staticmethod
    def _present(path: Path, values: Sequence[int | tuple | None]) -> np.ndarray:
        """(N,) or (N,2) int64: the values that are not None. None marks a line with an image that was filtered out; the number of
        such lines is logged."""
        present = [value for value in values if value is not None]
        if len(present) < len(values):
            warn_once(f'{path}: {len(values) - len(present)} of {len(values)} lines name images that were filtered out')
        return np.array(present, np.int64)


def _random_folds(faces: Faces, setting: str, seed: int) -> list[Fold]:
    """Folds of a layout without lists, as in `folds`."""
    rng, is_test = np.random.default_rng(seed), faces.splits == PARTITIONS.index('test')
    is_drawing = faces.columns['drawing']
    labels = np.intersect1d(faces.labels[is_test & is_drawing], faces.labels[is_test & ~is_drawing])
    if not len(labels):
        raise ValueError(f'{faces.root} holds no identity that is both in testA and in testB; add images')
    is_test &= np.isin(faces.labels, labels)
    is_probe = is_drawing if setting != 'p2c' else ~is_drawing
    probes, gallery = np.flatnonzero(is_test & is_probe), np.flatnonzero(is_test & ~is_probe)
    result = []
    for number, part in enumerate(np.array_split(rng.permutation(probes), FOLDS), 1):
        fold_gallery = gallery if setting == 'unrestricted' else np.array(
            [rng.choice(gallery[faces.labels[gallery] == label]) for label in labels])
        result.append(Fold(str(number), np.sort(part), fold_gallery))
    return result
