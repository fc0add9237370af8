"""Verification: how well a score tells pairs of one person from pairs of different people."""
import numpy as np
import torch
from torch import Tensor

FOLDS = 10


def all_pairs(identities: Tensor, people: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Unit-length identities (N,D) and people (N,) -> cosine of each of the N(N-1)/2 pairs, and whether it is one person."""
    first, second = torch.triu_indices(len(people), len(people), 1)
    return (identities @ identities.t())[first, second].numpy(), (people[first] == people[second]).numpy()


def auc(scores: np.ndarray, same: np.ndarray) -> float:
    """The chance that a pair of one person scores above a pair of two, ties counting half (Mann and Whitney)."""
    values, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]  # mean rank of tied scores, from 1
    positives, negatives = int(same.sum()), int((~same).sum())
    return float((rank[same].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc(scores: np.ndarray, same: np.ndarray, fars: np.ndarray) -> np.ndarray:
    """For each of fars (F,) the share of pairs of one person accepted at the lowest threshold that accepts at most that share of
    the others."""
    others, ones = np.sort(scores[~same])[::-1], np.sort(scores[same])
    thresholds = others[np.minimum((np.asarray(fars) * len(others)).astype(int), len(others) - 1)]
    return 1 - np.searchsorted(ones, thresholds, side='right') / len(ones)


def tar_at_far(scores: np.ndarray, same: np.ndarray, far: float) -> float:
    """One value of `roc`."""
    return float(roc(scores, same, np.array([far]))[0])


def accuracy(scores: np.ndarray, same: np.ndarray) -> float:
    """Mean of accepted pairs of one person and refused pairs of two, in 10 folds; the threshold of each comes from the others."""
    fold = np.random.default_rng(0).permutation(len(scores)) % FOLDS
    found = []
    for held in range(FOLDS):
        threshold = _best_threshold(scores[fold != held], same[fold != held])
        accepted, one = scores[fold == held] >= threshold, same[fold == held]
        if one.any() and not one.all():
            found.append((accepted[one].mean() + (~accepted[~one]).mean()) / 2)
    if not found:
        raise ValueError('too few pairs to measure accuracy in 10 folds; give more images of more people')
    return float(np.mean(found))


def in_folds(scores: np.ndarray, same: np.ndarray, fold: np.ndarray) -> dict[str, tuple[float, float]]:
    """Mean and deviation over the given folds, as LFW reports them: accuracy (mean over the two kinds of pairs), with the
    threshold of all other folds, auc, and TAR at FAR 1e-2 and 1e-3. ValueError where a fold lacks pairs of one kind."""
    rows = []
    for held in np.unique(fold):
        here, rest = fold == held, fold != held
        if not rest.any() or same[here].all() or not same[here].any():
            raise ValueError('each fold needs pairs of one person and pairs of two, and there must be several folds')
        accepted = scores[here] >= _best_threshold(scores[rest], same[rest])
        right = accepted == same[here]
        rows.append({'accuracy': float((right[same[here]].mean() + right[~same[here]].mean()) / 2),
                     'auc': auc(scores[here], same[here]),
                     'tar_at_far_0.01': tar_at_far(scores[here], same[here], 1e-2),
                     'tar_at_far_0.001': tar_at_far(scores[here], same[here], 1e-3)})
    return {name: (float(np.mean([row[name] for row in rows])), float(np.std([row[name] for row in rows]))) for name in rows[0]}


def _best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    order = np.argsort(scores)
    refused_same = np.cumsum(same[order]) - same[order]  # below each threshold
    refused_other = np.cumsum(~same[order]) - ~same[order]
    best = int(np.argmax(refused_other / (~same).sum() - refused_same / same.sum()))
    return float(scores[order][max(0, best - 1):best + 1].mean())  # half way to the next score below


def verification(scores: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """The figures of a table row: auc, TAR at FAR 1e-2 and 1e-3, accuracy. ValueError without pairs of both kinds."""
    if same.all() or not same.any():
        raise ValueError('verification needs pairs of one person and pairs of two; give several images of several people')
    return {'auc': auc(scores, same), 'tar_at_far_0.01': tar_at_far(scores, same, 1e-2),
            'tar_at_far_0.001': tar_at_far(scores, same, 1e-3), 'accuracy': accuracy(scores, same)}
