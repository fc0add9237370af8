"""Identity-feature losses between unit vectors (B,D)."""
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def cosine_id_loss(swap: Tensor, source: Tensor) -> Tensor:
    """mean(1 - cosine) of (B,D) unit vectors, in 0..2 (SimSwap, Chen et al. 2020, eq. 3)."""
    return (1 - (swap * source).sum(1)).mean()


@full_precision
def hinge_id_loss(swap: Tensor, source: Tensor, *, threshold: float = 0.2875) -> Tensor:
    """mean max(0, threshold - cosine): nothing more is wanted once the identity similarity suffices (the caricature study's form;
    its threshold is where SphereFace tells its pairs apart). Scalar."""
    return F.relu(threshold - (swap * source).sum(1)).mean()


@full_precision
def distillation_id_loss(swap: Tensor, source: Tensor, *, temperature: float = 0.1) -> Tensor:
    """KL divergence between each source's and its swap's softened identity similarity to the other sources of the batch, times
    temperature^2 (Hinton et al. 2015, section 2): the whole neighbourhood is to agree, not one angle. Scalar; 0 for a batch of
    one."""
    wanted = F.log_softmax(_others(source @ source.T) / temperature, 1).detach()
    given = F.log_softmax(_others(swap @ source.T) / temperature, 1)
    return F.kl_div(given, wanted, log_target=True, reduction='batchmean') * temperature ** 2


@full_precision
def id_drift_loss(swap: Tensor, source: Tensor) -> Tensor:
    """Squared distance of the mean identities of swaps and sources, (B,D) each (Gretton et al. 2012, eq. 3, linear kernel, in
    pairs): what all swaps have in common and their sources have not makes them look like one another. Scalar, without bias, so it
    may be negative; 0 for fewer than two."""
    apart, count = swap - source, len(swap)
    if count < 2:
        return 0 * swap.sum()
    return (apart.sum(0).square().sum() - apart.square().sum()) / (count * (count - 1))


def _others(square: Tensor) -> Tensor:
    """(B,B) -> (B,B-1) without the diagonal."""
    count = len(square)
    return square.flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)
