"""Identity similarity and retrieval. Embeddings are (.,D) of unit length."""
import torch
from torch import Tensor


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine similarity in [-1,1] of unit embeddings: (B,D), (B,D) -> (B,)."""
    return (first * second).sum(1)


def identity_ranks(swaps: Tensor, pool: Tensor, labels: Tensor, sources: Tensor) -> Tensor:
    """Retrieval rank of the source identity of each swap among all identities: (B,) int64, 0 is the best.

    swaps: embeddings (B,D); pool: embeddings (N,D) of all images, with identity labels `labels` (N,); sources: (B,) index into
    the pool of the source image of each swap. An identity is represented by the normalized mean of its embeddings; the source
    image itself is excluded where the identity has further images.
    """
    identities, index = labels.unique(return_inverse=True)
    sums = torch.zeros(len(identities), pool.shape[1], dtype=pool.dtype).index_add_(0, index, pool)
    counts = index.bincount(minlength=len(identities))
    source_index = index[sources]
    rest = sums[source_index] - pool[sources] * (counts[source_index] > 1)[:, None]
    source_scores = cosine(swaps, torch.nn.functional.normalize(rest, dim=1))
    scores = swaps @ torch.nn.functional.normalize(sums, dim=1).t()
    scores[torch.arange(len(swaps)), source_index] = float('-inf')
    return (scores > source_scores[:, None]).sum(1)


def image_ranks(swaps: Tensor, pool: Tensor, labels: Tensor, sources: Tensor) -> Tensor:
    """Number of images of other identities that are nearer to each swap than the nearest image of its source identity, the
    source image included: (B,) int64, 0 is the best (ID retrieval of FaceShifter, Li et al. 2020, section 4.2). Arguments as for
    identity_ranks."""
    scores = swaps @ pool.t()
    same = labels[sources][:, None] == labels
    best = scores.masked_fill(~same, float('-inf')).amax(1, keepdim=True)
    return ((scores > best) & ~same).sum(1)


def share_within(ranks: Tensor, top: int) -> float:
    """Share in [0,1] of ranks below `top`."""
    return float((ranks < top).double().mean())


def attribute_accuracy(predicted: Tensor, target: Tensor) -> Tensor:
    """Share in [0,1] of attributes whose signs agree: (B,A), (B,A) -> (B,). An attribute is present above 0."""
    return ((predicted > 0) == (target > 0)).double().mean(1)
