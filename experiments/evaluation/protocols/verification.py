"""Face verification protocols: all pairs of a partition, or the fixed pairs
of a list in 10 folds, in the format of LFW's pairs.txt (Huang et al. 2007):

    10 300                            folds, pairs of each kind per fold
    Abel_Pacheco 1 4                  genuine pair: name, two numbers
    Robert_Downey_Jr 1 Tommy_Shane_Steiner 1    impostor pair
"""
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from configs.reading import read_text, shown
from datasets.faces import Faces
from datasets.transforms.joint import into_frame, unit
from experiments.evaluation.metrics.verification import FOLDS, all_pairs, in_folds, verification
from models.batch import collate
from models.geometry import Template


@torch.no_grad()
def verify(embed: Callable[[Tensor], Tensor], people: Dataset, *, device: str | torch.device = 'cpu', batch: int = 64,
           workers: int = 0, most: int = 4000) -> dict[str, float]:
    """The figures of experiments.evaluation.metrics.verification over all pairs of at most `most` images, spread evenly over the
    list.

    embed: (B,3,H,W) in [-1,1] -> (B,D); people gives FaceBatch samples. Also returned: images and people that took part.
    """
    rows = np.unique(np.linspace(0, len(people) - 1, min(most, len(people))).round().astype(int)).tolist()
    found, persons = [], []
    for faces in DataLoader(Subset(people, rows), batch, num_workers=workers, collate_fn=collate):
        found.append(F.normalize(embed(faces.images.to(device)).float(), dim=1).cpu())
        persons.append(faces.label)
    persons = torch.cat(persons)
    return {**verification(*all_pairs(torch.cat(found), persons)), 'images': len(persons), 'people': len(persons.unique())}


@dataclass(frozen=True)
class Pairs:
    """first, second: (N,) indices of images; same, fold: (N,)."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    fold: np.ndarray


def read_pairs(path: str | Path, faces: Faces) -> Pairs:
    """The pairs of a list in LFW's format among the images name/name_0001.jpg of `faces`. ValueError names the line that is
    malformed or the image that is missing."""
    known = {Path(str(file)).stem: row for row, file in enumerate(faces.files)}
    lines = read_text(path).splitlines()
    head = lines[0].split() if lines else []
    if len(head) != 2 or not all(value.isdecimal() for value in head):
        raise ValueError(f'{path} does not begin with the number of folds and of pairs, such as "10 300"')
    folds, each = map(int, head)
    body = [line for line in lines[1:] if line.strip()]
    if len(body) != 2 * folds * each:
        raise ValueError(f'{path} announces {folds} folds of {each} pairs of each kind but lists {len(body)} pairs')
    rows = []
    for number, line in enumerate(body):
        match re.split(r'\s+', line.strip()):
            case [person, a, b] if a.isdecimal() and b.isdecimal():
                names = [(person, a), (person, b)]
            case [one, a, two, b] if a.isdecimal() and b.isdecimal():
                names = [(one, a), (two, b)]
            case _:
                raise ValueError(f'{path}: {shown(repr(line))} is no pair; write "name number number" or '
                                 '"name number name number"')
        stems = [f'{name}_{int(count):04d}' for name, count in names]
        missing = [stem for stem in stems if stem not in known]
        if missing:
            raise ValueError(f'{path} names {shown(missing[0])}, which is not among the images of {faces.root}')
        rows.append((known[stems[0]], known[stems[1]], len(line.split()) == 3, number // (2 * each)))
    return Pairs(*(np.array(column) for column in zip(*rows)))


def draw_pairs(faces: Faces, each: int = 300, *, seed: int = 0) -> Pairs:
    """Random 10 folds of `each` genuine and `each` impostor pairs with disjoint identities. Raises ValueError for too few
    identities with several images."""
    rng = np.random.default_rng(seed)
    people = np.unique(faces.labels)
    parts, rows = np.array_split(rng.permutation(people), FOLDS), []
    for fold, part in enumerate(parts):
        of = {person: np.flatnonzero(faces.labels == person) for person in part}
        several = [person for person in part if len(of[person]) > 1]
        if len(part) < 2 or not several:
            raise ValueError(f'{faces.root} shows too few people with several images for {FOLDS} folds of pairs')
        for _ in range(each):
            rows.append((*rng.choice(of[several[rng.integers(len(several))]], 2, replace=False), True, fold))
            one, two = rng.choice(part, 2, replace=False)
            rows.append((rng.choice(of[one]), rng.choice(of[two]), False, fold))
    return Pairs(*(np.array(column) for column in zip(*rows)))


@torch.no_grad()
def identities(embed: Callable[[Tensor], Tensor], faces: Faces, rows: np.ndarray, to: Template, *, batch: int = 64,
               device: str | torch.device = 'cpu') -> Tensor:
    """(N,D) of unit length on the CPU, of the images in `rows` (N,). embed: (B,3,H,W) in [-1,1] in the template `to` -> (B,D);
    each image is aligned by its own landmarks where they are known."""
    found = []
    for part in np.split(rows, range(batch, len(rows), batch)):
        images = []
        for row in part:
            image, _, points = faces.read(int(row))
            images.append(unit(into_frame(image, None, points, faces.frame if points is None else None, to)[0]))
        found.append(F.normalize(embed(torch.stack(images).to(device)).float(), dim=1).cpu())
    return torch.cat(found)


def verify_pairs(embed: Callable[[Tensor], Tensor], faces: Faces, pairs: Pairs, to: Template, *, batch: int = 64,
                 device: str | torch.device = 'cpu') -> dict[str, tuple[float, float]]:
    """experiments.evaluation.metrics.verification.in_folds of the cosines of pairs. Arguments as for `identities`."""
    rows, place = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    first, second = identities(embed, faces, rows, to, batch=batch, device=device)[torch.from_numpy(place)].chunk(2)
    return in_folds((first * second).sum(1).numpy(), pairs.same.astype(bool), pairs.fold)
