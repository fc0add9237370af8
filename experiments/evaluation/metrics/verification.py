"""Face verification: ROC, AUC, TAR at FAR and accuracy of scores of genuine and impostor pairs.

scores: (N,) similarities; same: (N,) bool, true for genuine pairs (one identity). All results are in [0,1], higher is better.
"""
import numpy as np
import torch
from torch import Tensor

FOLDS = 10


def all_pairs(embeddings: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings (N,D) and identity labels (N,) -> cosine of each of the N(N-1)/2 pairs, and whether it is genuine."""
    first, second = torch.triu_indices(len(labels), len(labels), 1)
    return (embeddings @ embeddings.t())[first, second].numpy(), (labels[first] == labels[second]).numpy()


def auc(scores: np.ndarray, same: np.ndarray) -> float:
    """Area under the ROC: the probability that a genuine pair scores above an impostor pair, ties counted half (Mann and
    Whitney 1947)."""
    _, inverse, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]  # mean rank of tied scores, from 1
    positives, negatives = int(same.sum()), int((~same).sum())
    return float((rank[same].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc(scores: np.ndarray, same: np.ndarray, fars: np.ndarray) -> np.ndarray:
    """True acceptance rate (F,) at each false acceptance rate of fars (F,): at the lowest threshold that accepts at most that
    fraction of the impostor pairs."""
    impostors, genuine = np.sort(scores[~same])[::-1], np.sort(scores[same])
    thresholds = impostors[np.minimum((np.asarray(fars) * len(impostors)).astype(int), len(impostors) - 1)]
    return 1 - np.searchsorted(genuine, thresholds, side='right') / len(genuine)


def tar_at_far(scores: np.ndarray, same: np.ndarray, far: float) -> float:
    """True acceptance rate at one false acceptance rate, see `roc`."""
    return float(roc(scores, same, np.array([far]))[0])


def accuracy(scores: np.ndarray, same: np.ndarray) -> float:
    """Balanced accuracy, the mean of the fractions of accepted genuine and rejected impostor pairs, with the threshold of each of
    10 folds taken from the other folds. Raises ValueError where no fold has pairs of both kinds."""
    fold = np.random.default_rng(0).permutation(len(scores)) % FOLDS
    fold_accuracies = []
    for test_fold in range(FOLDS):
        threshold = _best_threshold(scores[fold != test_fold], same[fold != test_fold])
        accepted, genuine = scores[fold == test_fold] >= threshold, same[fold == test_fold]
        if genuine.any() and not genuine.all():
            fold_accuracies.append((accepted[genuine].mean() + (~accepted[~genuine]).mean()) / 2)
    if not fold_accuracies:
        raise ValueError('too few pairs for an accuracy over 10 folds; give more images of more identities')
    return float(np.mean(fold_accuracies))


def in_folds(scores: np.ndarray, same: np.ndarray, fold: np.ndarray) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation over folds, the protocol of LFW (Huang et al. 2007): balanced accuracy with the threshold of
    the other folds, AUC, and TAR at FAR 1e-2 and 1e-3. fold: (N,) fold of each pair. Raises ValueError where a fold lacks genuine
    or impostor pairs."""
    rows = []
    for test_fold in np.unique(fold):
        test, rest = fold == test_fold, fold != test_fold
        if not rest.any() or same[test].all() or not same[test].any():
            raise ValueError('each fold needs genuine and impostor pairs, and there must be several folds')
        accepted = scores[test] >= _best_threshold(scores[rest], same[rest])
        correct = accepted == same[test]
        rows.append({'accuracy': float((correct[same[test]].mean() + correct[~same[test]].mean()) / 2),
                     'auc': auc(scores[test], same[test]),
                     'tar_at_far_0.01': tar_at_far(scores[test], same[test], 1e-2),
                     'tar_at_far_0.001': tar_at_far(scores[test], same[test], 1e-3)})
    return {name: (float(np.mean([row[name] for row in rows])), float(np.std([row[name] for row in rows]))) for name in rows[0]}


def _best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """Threshold of the highest balanced accuracy."""
    order = np.argsort(scores)
    rejected_genuine = np.cumsum(same[order]) - same[order]  # number of pairs below each threshold
    rejected_impostors = np.cumsum(~same[order]) - ~same[order]
    best = int(np.argmax(rejected_impostors / (~same).sum() - rejected_genuine / same.sum()))
    return float(scores[order][max(0, best - 1):best + 1].mean())  # midpoint to the next lower score


def verification(scores: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """AUC, TAR at FAR 1e-2 and 1e-3, and balanced accuracy. Raises ValueError unless there are pairs of both kinds."""
    if same.all() or not same.any():
        raise ValueError('verification needs genuine and impostor pairs; give several images of several identities')
    return {'auc': auc(scores, same), 'tar_at_far_0.01': tar_at_far(scores, same, 1e-2),
            'tar_at_far_0.001': tar_at_far(scores, same, 1e-3), 'accuracy': accuracy(scores, same)}
