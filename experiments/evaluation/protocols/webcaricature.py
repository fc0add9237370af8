"""Verification and identification of photos against caricatures in the folds of datasets.webcaricature (Huo et al. 2018).
Encoders that were trained on an identity of a fold are refused for it."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datasets.faces import Faces
from datasets.webcaricature import SETTINGS, Fold, fold_identities, folds, plain_name
from experiments.evaluation.metrics.identity import share_within
from experiments.evaluation.metrics.verification import in_folds, roc, verification
from experiments.evaluation.protocols.verification import identities
from models.geometry import Template
from models.perception.build import EMBEDDERS, load_embedder
from models.perception.encoders.files import identities_learned_from, load_encoder

FARS = np.logspace(-3, 0, 61)
RANKS = (1, 10)


@dataclass(frozen=True)
class Encoder:
    """embed: (B,3,H,W) in [-1,1] in the template `to` -> (B,D). learned_from: names of its training identities, None for
    published networks without such a record."""

    name: str
    embed: Callable[[Tensor], Tensor]
    to: Template
    learned_from: Sequence[str] | None = None


def read_encoder(source: str | Path, device: str | torch.device = 'cpu') -> Encoder:
    """An encoder.safetensors of a run, or one of models.perception.build.EMBEDDERS by its name. ValueError where a file is none
    or does not say whom it learned from; errors as for load_embedder."""
    known = identities_learned_from(source)
    if source in EMBEDDERS:
        embedder, template = load_embedder(source), EMBEDDERS[source][1]['template']
    elif known is None:
        raise ValueError(f'{source} does not say whom it learned from, so nobody could check it; train it again')
    else:
        embedder, template = load_encoder(source)
    return Encoder(str(source), partial(embedder.to(device), template=template), embedder.template, known)


@dataclass(frozen=True)
class RecognitionResult:
    """figures: setting -> measure -> mean and deviation over the folds. curves: setting -> FARS and the mean TAR at each."""

    figures: dict[str, dict[str, tuple[float, float]]]
    curves: dict[str, tuple[np.ndarray, np.ndarray]]


def measure(faces: Faces, encoders: Sequence[Encoder], settings: Sequence[str] = SETTINGS, *, view: int = 2, batch: int = 64,
            device: str | torch.device = 'cpu') -> RecognitionResult:
    """restricted and unrestricted give the figures of experiments.evaluation.metrics.verification, c2p and p2c the share of
    probes whose person is the first, or among the first ten, of the gallery.

    faces: the partition `all`. Each fold is measured by the first encoder that learned from nobody in it: one for all folds, or
    one for each, trained without that fold. ValueError, before anything is computed, where there is none for a fold.
    """
    plans = {setting: [(fold, chosen(encoders, faces, fold)) for fold in folds(faces, setting, view)] for setting in settings}
    seen, figures, curves = {}, {}, {}
    for setting, plan in plans.items():
        answers = [_compared(faces, fold, _seen(seen, encoder, faces, fold, batch, device)) for fold, encoder in plan]
        if setting in ('c2p', 'p2c'):
            ranks = [_ranks(scores, same) for scores, same in answers]
            figures[setting] = {f'rank_{top}': _spread([share_within(one, top) for one in ranks]) for top in RANKS}
            continue
        places = [... if fold.pairs is None else tuple(fold.pairs.T) for fold, _ in plan]
        pairs = [(scores[at].ravel(), same[at].ravel()) for (scores, same), at in zip(answers, places)]
        if len(pairs) == 1:
            figures[setting] = {name: (value, 0.0) for name, value in verification(*pairs[0]).items()}
        else:
            number = np.repeat(np.arange(len(pairs)), [len(scores) for scores, _ in pairs])
            figures[setting] = in_folds(*map(np.concatenate, zip(*pairs)), number)
        curves[setting] = FARS, np.mean([roc(scores, same, FARS) for scores, same in pairs], 0)
    return RecognitionResult(figures, curves)


def chosen(encoders: Sequence[Encoder], faces: Faces, fold: Fold) -> Encoder:
    """The first encoder that learned from nobody whom the fold shows; ValueError names a person where there is none."""
    shown, known = fold_identities(faces, fold), None
    for encoder in encoders:
        known = shown & {plain_name(name) for name in encoder.learned_from or ()}
        if not known:
            return encoder
    raise ValueError(f'{encoders[-1].name} was trained on {len(known)} of the {len(shown)} people of fold {fold.name.strip("_")} '
                     f'({min(known)} is one), so its figures would be worthless; train without that fold '
                     '(data.partition=verification-K or identification-K) or measure another setting or view')


def _seen(seen: dict, encoder: Encoder, faces: Faces, fold: Fold, batch: int, device) -> Callable[[np.ndarray], Tensor]:
    """Function from rows to embeddings (N,D); each image is embedded once per encoder."""
    known = seen.setdefault(encoder.name, {})
    rows = np.array([row for row in np.unique(np.concatenate([fold.probes, fold.gallery])) if row not in known], np.int64)
    if len(rows):
        known.update(zip(rows.tolist(), identities(encoder.embed, faces, rows, encoder.to, batch=batch, device=device)))
    return lambda rows: torch.stack([known[row] for row in rows.tolist()])


def _compared(faces: Faces, fold: Fold, look: Callable[[np.ndarray], Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """(P,G) cosines of probes and gallery, and whether they show one person; ValueError where the fold has no images left."""
    if not len(fold.probes) or not len(fold.gallery):
        raise ValueError(f'fold {fold.name.strip("_")} has no images left; filter less, or measure the data set as published')
    same = faces.labels[fold.probes][:, None] == faces.labels[fold.gallery]
    return (look(fold.probes) @ look(fold.gallery).t()).numpy(), same


def _ranks(scores: np.ndarray, same: np.ndarray) -> Tensor:
    """How many images of other people are no farther from each probe than its own person's nearest, 0 = found first. Probes of
    people whom the gallery lacks are left out."""
    inside = same.any(1)
    best = np.where(same, scores, -np.inf).max(1, keepdims=True)
    return torch.from_numpy(((scores >= best) & ~same).sum(1)[inside])


def _spread(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))
