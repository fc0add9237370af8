"""Verification and identification of photos against caricatures in the folds of datasets.webcaricature (Huo et al. 2018).

Encoders that were trained on an identity of a fold are refused for it.
"""
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
from experiments.evaluation.protocols.verification import embed_rows
from models.geometry import Template
from models.perception.build import EMBEDDERS, load_embedder
from models.perception.encoder_files import load_encoder, training_identities

FARS = np.logspace(-3, 0, 61)  # false acceptance rates of the ROC curves
RANKS = (1, 10)
Scores = tuple[np.ndarray, np.ndarray]  # cosines of pairs, and whether the pairs are genuine


@dataclass(frozen=True)
class Encoder:
    """An identity encoder.

    embed: (B,3,H,W) in [-1,1] in the template -> (B,D). training_identities: names of the identities of its training; None for
    published networks without such a record.
    """

    name: str
    embed: Callable[[Tensor], Tensor]
    template: Template
    training_identities: Sequence[str] | None = None


def read_encoder(source: str | Path, device: str | torch.device = 'cpu') -> Encoder:
    """Load an encoder.safetensors of a run, or one of models.perception.build.EMBEDDERS by its name.

    Raises ValueError for other files and for files without the identities of their training; errors as for load_embedder.
    """
    names = training_identities(source)
    if source in EMBEDDERS:
        embedder, template = load_embedder(source), EMBEDDERS[source][1]['template']
    elif names is None:
        raise ValueError(f'{source} does not list the identities of its training, so its independence cannot be checked; train '
                         'it again')
    else:
        embedder, template = load_encoder(source)
    return Encoder(str(source), partial(embedder.to(device), template=template), embedder.template, names)


@dataclass(frozen=True)
class RecognitionResult:
    """Results by setting. figures: metric -> mean and deviation over the folds; curves: FARS and the mean TAR at each."""

    figures: dict[str, dict[str, tuple[float, float]]]
    curves: dict[str, tuple[np.ndarray, np.ndarray]]


def measure(faces: Faces, encoders: Sequence[Encoder], settings: Sequence[str] = SETTINGS, *, view: int = 2, batch: int = 64,
            device: str | torch.device = 'cpu') -> RecognitionResult:
    """Measure encoders on the folds of some settings.

    The settings restricted and unrestricted give the metrics of experiments.evaluation.metrics.verification; c2p and p2c give the
    fraction of probes whose identity is the first, or among the first ten, of the gallery.

    Args:
        faces: the partition `all`.
        encoders: one encoder for all folds, or one per fold that was trained without the fold. Each fold is measured by the first
            encoder that is independent of it.
        view: view of the published protocol: 1 for the choice of parameters, 2 for results.
        batch: images per batch.

    Raises:
        ValueError: no encoder is independent of a fold, or a fold is empty.
    """
    plans = {setting: [(fold, choose_encoder(encoders, faces, fold)) for fold in folds(faces, setting, view)]
             for setting in settings}
    cache: dict[str, dict[int, Tensor]] = {}
    figures, curves = {}, {}
    for setting, plan in plans.items():
        scores = [_scores(faces, fold, _cached_embed(cache, encoder, faces, fold, batch, device)) for fold, encoder in plan]
        if setting in ('c2p', 'p2c'):
            ranks = [_ranks(*fold_scores) for fold_scores in scores]
            figures[setting] = {f'rank_{top}': _mean_and_deviation([share_within(fold_ranks, top) for fold_ranks in ranks])
                                for top in RANKS}
            continue
        pairs = [_listed_pairs(fold, *fold_scores) for (fold, _), fold_scores in zip(plan, scores)]
        if len(pairs) == 1:
            figures[setting] = {name: (value, 0.0) for name, value in verification(*pairs[0]).items()}
        else:
            cosines, same = (np.concatenate(column) for column in zip(*pairs))
            figures[setting] = in_folds(cosines, same, np.repeat(np.arange(len(pairs)), [len(fold) for fold, _ in pairs]))
        curves[setting] = FARS, np.mean([roc(cosines, same, FARS) for cosines, same in pairs], 0)
    return RecognitionResult(figures, curves)


def choose_encoder(encoders: Sequence[Encoder], faces: Faces, fold: Fold) -> Encoder:
    """The first encoder that was trained on no identity of the fold. Raises ValueError where there is none."""
    tested, overlap = fold_identities(faces, fold), set()
    for encoder in encoders:
        overlap = tested & {plain_name(name) for name in encoder.training_identities or ()}
        if not overlap:
            return encoder
    raise ValueError(f'{encoders[-1].name} was trained on {len(overlap)} of the {len(tested)} identities of fold '
                     f'{fold.name.strip("_")}, such as {min(overlap)}; train without that fold '
                     '(data.partition=verification-K or identification-K) or measure another setting or view')


def _cached_embed(cache: dict[str, dict[int, Tensor]], encoder: Encoder, faces: Faces, fold: Fold, batch: int,
                  device: str | torch.device) -> Callable[[np.ndarray], Tensor]:
    """Function from rows to embeddings (N,D). Each image is embedded once per encoder."""
    embeddings = cache.setdefault(encoder.name, {})
    rows = np.array([row for row in np.unique(np.concatenate([fold.probes, fold.gallery])) if row not in embeddings], np.int64)
    if len(rows):
        computed = embed_rows(encoder.embed, faces, rows, encoder.template, batch=batch, device=device)
        embeddings.update(zip(rows.tolist(), computed))
    return lambda rows: torch.stack([embeddings[row] for row in rows.tolist()])


def _scores(faces: Faces, fold: Fold, embed: Callable[[np.ndarray], Tensor]) -> Scores:
    """(P,G) of probes and gallery. Raises ValueError for an empty fold."""
    if not len(fold.probes) or not len(fold.gallery):
        raise ValueError(f'fold {fold.name.strip("_")} has no images left; filter less, or measure the data set as published')
    same = faces.labels[fold.probes][:, None] == faces.labels[fold.gallery]
    return (embed(fold.probes) @ embed(fold.gallery).t()).numpy(), same


def _listed_pairs(fold: Fold, cosines: np.ndarray, same: np.ndarray) -> Scores:
    """Scores (N,) of the pairs that the fold lists, or of all pairs."""
    if fold.pairs is None:
        return cosines.ravel(), same.ravel()
    index = tuple(fold.pairs.T)
    return cosines[index], same[index]


def _ranks(cosines: np.ndarray, same: np.ndarray) -> Tensor:
    """(P,) ranks: the number of images of other identities that are at least as near to the probe as the nearest image of the
    probe's identity. Probes whose identity is not in the gallery are left out."""
    in_gallery = same.any(1)
    best = np.where(same, cosines, -np.inf).max(1, keepdims=True)
    return torch.from_numpy(((cosines >= best) & ~same).sum(1)[in_gallery])


def _mean_and_deviation(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))
