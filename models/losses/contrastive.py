"""Contrastive losses: cross entropies over the samples or positions of a batch."""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def patch_nce(queries: Tensor, keys: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Cross entropy of each query's key among all keys of its image (CUT, Park et al. 2020, eq. 3). Scalar.

    queries, keys: (B,P,D), unit length, for P positions. Keys have no gradient.
    """
    logits = queries @ keys.detach().transpose(1, 2) / temperature  # (B,P,P)
    positives = torch.arange(logits.shape[1], device=logits.device).repeat(len(logits))  # (B*P,)
    return F.cross_entropy(logits.flatten(0, 1), positives)


@full_precision
def photo_drawing(embeddings: Tensor, labels: Tensor, drawing: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss between photos and drawings (Khosla et al. 2020, eq. 2). Scalar.

    Each image's positives are the images of the other kind with its identity label, its candidates all images of the other kind;
    the loss is the mean cross entropy over the positives, then over the images that have any; 0 if no image has any.

    embeddings: (B,D), unit length. labels: (B,) int64. drawing: (B,) bool.
    """
    candidates = drawing[:, None] != drawing  # (B,B)
    logits = embeddings @ embeddings.t() / temperature  # (B,B)
    logits = logits.masked_fill(~candidates, torch.finfo(logits.dtype).min)
    positives = candidates & (labels[:, None] == labels)
    losses = -(logits.log_softmax(1) * positives).sum(1) / positives.sum(1).clamp(min=1)  # (B,)
    return losses.sum() / positives.any(1).sum().clamp(min=1)
