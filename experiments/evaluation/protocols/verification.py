"""Face verification protocols: all pairs of a partition, or fixed pairs in 10 folds.

Lists of pairs have the format of LFW's pairs.txt (Huang et al. 2007):

    10 300                            folds, pairs of each kind per fold
    Abel_Pacheco 1 4                  genuine pair: name, two numbers
    Robert_Downey_Jr 1 Tommy_Shane_Steiner 1    impostor pair
"""
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset

from configs.reading import read_text, shown
from datasets.base import SizedDataset
from datasets.faces import Faces
from datasets.transforms.joint import into_frame, to_signed_float
from experiments.evaluation.metrics.verification import FOLDS, all_pairs, in_folds, verification
from models.batch import collate
from models.geometry import Template


@torch.no_grad()
def verify(embed: Callable[[Tensor], Tensor], dataset: SizedDataset, *, device: str | torch.device = 'cpu', batch: int = 64,
           workers: int = 0, max_images: int = 4000) -> dict[str, float]:
    """Metrics of experiments.evaluation.metrics.verification over all pairs of images of a data set.

    Args:
        embed: (B,3,H,W) in [-1,1] -> (B,D).
        dataset: data set of FaceBatch samples.
        max_images: number of images, spread evenly over the data set.

    Returns:
        The metrics, and the numbers of `images` and `identities`.
    """
    length = len(dataset)
    rows = np.unique(np.linspace(0, length - 1, min(max_images, length)).round().astype(int)).tolist()
    embeddings, labels = [], []
    for faces in DataLoader(Subset(dataset, rows), batch, num_workers=workers, collate_fn=collate):
        embeddings.append(F.normalize(embed(faces.images.to(device)).float(), dim=1).cpu())
        labels.append(faces.label)
    all_labels = torch.cat(labels)
    return {**verification(*all_pairs(torch.cat(embeddings), all_labels)), 'images': len(all_labels),
            'identities': len(all_labels.unique())}


@dataclass(frozen=True)
class VerificationPairs:
    """Pairs of images. first, second: (N,) row indices; same: (N,) bool, whether the pair is genuine; fold: (N,) index."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    fold: np.ndarray


def read_pairs(path: str | Path, faces: Faces) -> VerificationPairs:
    """Read a list in LFW's format, whose images are name/name_0001.jpg in `faces`. Raises ValueError for a malformed line or a
    missing image."""
    row_of = {Path(str(file)).stem: row for row, file in enumerate(faces.files)}
    lines = read_text(path).splitlines()
    head = lines[0].split() if lines else []
    if len(head) != 2 or not all(value.isdecimal() for value in head):
        raise ValueError(f'{path} does not begin with the number of folds and of pairs, such as "10 300"')
    folds, count = map(int, head)
    body = [line for line in lines[1:] if line.strip()]
    if len(body) != 2 * folds * count:
        raise ValueError(f'{path} announces {folds} folds of {count} pairs of each kind but lists {len(body)} pairs')
    rows = []
    for number, line in enumerate(body):
        match re.split(r'\s+', line.strip()):
            case [name, a, b] if a.isdecimal() and b.isdecimal():
                images = [(name, a), (name, b)]
            case [name, a, other_name, b] if a.isdecimal() and b.isdecimal():
                images = [(name, a), (other_name, b)]
            case _:
                raise ValueError(f'{path}: {shown(repr(line))} is no pair; write "name number number" or '
                                 '"name number name number"')
        stems = [f'{name}_{int(number_in_name):04d}' for name, number_in_name in images]
        missing = [stem for stem in stems if stem not in row_of]
        if missing:
            raise ValueError(f'{path} names {shown(missing[0])}, which is not among the images of {faces.root}')
        rows.append((row_of[stems[0]], row_of[stems[1]], len(line.split()) == 3, number // (2 * count)))
    return VerificationPairs(*(np.array(column) for column in zip(*rows)))


def sample_pairs(faces: Faces, count: int = 300, *, seed: int = 0) -> VerificationPairs:
    """Random 10 folds of `count` genuine and `count` impostor pairs with disjoint identities. Raises ValueError for too few
    identities with several images."""
    rng = np.random.default_rng(seed)
    labels = np.unique(faces.labels)
    rows: list[tuple[Any, ...]] = []
    for fold, fold_labels in enumerate(np.array_split(rng.permutation(labels), FOLDS)):
        rows_of = {label: np.flatnonzero(faces.labels == label) for label in fold_labels}
        several = [label for label in fold_labels if len(rows_of[label]) > 1]
        if len(fold_labels) < 2 or not several:
            raise ValueError(f'{faces.root} has too few identities with several images for {FOLDS} folds of pairs')
        for _ in range(count):
            rows.append((*rng.choice(rows_of[several[rng.integers(len(several))]], 2, replace=False), True, fold))
            first, second = rng.choice(fold_labels, 2, replace=False)
            rows.append((rng.choice(rows_of[first]), rng.choice(rows_of[second]), False, fold))
    return VerificationPairs(*(np.array(column) for column in zip(*rows)))


@torch.no_grad()
def embed_rows(embed: Callable[[Tensor], Tensor], faces: Faces, rows: np.ndarray, template: Template, *, batch: int = 64,
               device: str | torch.device = 'cpu') -> Tensor:
    """Unit embeddings (N,D) on the CPU of the images in `rows` (N,).

    Args:
        embed: (B,3,H,W) in [-1,1] in the template -> (B,D).
        template: geometry to which each image is aligned, by its landmarks where the data set has them, else by its frame.
    """
    embeddings = []
    for part in np.split(rows, range(batch, len(rows), batch)):
        images = []
        for row in part:
            image, _, points = faces.read(int(row))
            images.append(to_signed_float(into_frame(image, None, points, faces.frame if points is None else None, template)[0]))
        embeddings.append(F.normalize(embed(torch.stack(images).to(device)).float(), dim=1).cpu())
    return torch.cat(embeddings)


def verify_pairs(embed: Callable[[Tensor], Tensor], faces: Faces, pairs: VerificationPairs, template: Template, *,
                 batch: int = 64, device: str | torch.device = 'cpu') -> dict[str, tuple[float, float]]:
    """Metrics of experiments.evaluation.metrics.verification.in_folds for the cosines of pairs. Arguments as for `embed_rows`."""
    rows, inverse = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    embeddings = embed_rows(embed, faces, rows, template, batch=batch, device=device)
    first, second = embeddings[torch.from_numpy(inverse)].chunk(2)
    return in_folds((first * second).sum(1).numpy(), pairs.same.astype(bool), pairs.fold)
