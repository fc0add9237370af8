"""Distances of identity embeddings, unit vectors (B,D)."""
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def cosine_id_loss(swap: Tensor, source: Tensor) -> Tensor:
    """mean(1 - cos(swap, source)) of unit vectors (B,D), in 0..2 (SimSwap, Chen et al. 2020, eq. 3). Scalar."""
    return (1 - (swap * source).sum(1)).mean()


@full_precision
def hinge_id_loss(swap: Tensor, source: Tensor, *, threshold: float = 0.2875) -> Tensor:
    """mean(max(0, threshold - cos(swap, source))) of unit vectors (B,D): no gradient above the threshold. Scalar. The default is
    the verification threshold of SphereFace."""
    return F.relu(threshold - (swap * source).sum(1)).mean()


@full_precision
def distillation_id_loss(swap: Tensor, source: Tensor, *, temperature: float = 0.1) -> Tensor:
    """KL divergence of the softened similarities of swap and source to the other sources of the batch, times temperature^2
    (Hinton et al. 2015, section 2). Scalar, 0 for a batch of one.

    T^2 mean_i KL(softmax_j(cos(source_i, source_j) / T) || softmax_j(cos(swap_i, source_j) / T)), j != i

    swap, source: (B,D), unit length. The source's similarities have no gradient.
    """
    expected = F.log_softmax(_off_diagonal(source @ source.T) / temperature, 1).detach()  # (B,B-1)
    predicted = F.log_softmax(_off_diagonal(swap @ source.T) / temperature, 1)  # (B,B-1)
    return F.kl_div(predicted, expected, log_target=True, reduction='batchmean') * temperature ** 2


@full_precision
def id_drift_loss(swap: Tensor, source: Tensor) -> Tensor:
    """Squared distance of the mean embeddings of swaps and sources, (B,D) each (Gretton et al. 2012, eq. 3, with a linear kernel
    and paired samples). Scalar.

    sum_{i != j} <d_i, d_j> / (B (B - 1)), d = swap - source

    A common shift of all swaps makes them similar to each other. The estimate is unbiased, so that it may be negative; it is 0
    for fewer than two pairs.
    """
    difference, count = swap - source, len(swap)
    if count < 2:
        return 0 * swap.sum()
    return (difference.sum(0).square().sum() - difference.square().sum()) / (count * (count - 1))


def _off_diagonal(matrix: Tensor) -> Tensor:
    """(B,B) -> (B,B-1), without the diagonal."""
    count = len(matrix)
    return matrix.flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)
