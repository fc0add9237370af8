"""Losses that compare each sample with others."""
import torch
import torch.nn.functional as F
from torch import Tensor


def patch_nce(queries: Tensor, keys: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Cross entropy of finding each query's own key among all keys of its picture (CUT, Park et al. 2020, eq. 3). Both are
    (B,P,D), unit length, for P places; keys get no gradient. Scalar."""
    logits = queries @ keys.detach().transpose(1, 2) / temperature  # (B,P,P)
    own = torch.arange(logits.shape[1], device=logits.device).repeat(len(logits))
    return F.cross_entropy(logits.flatten(0, 1), own)
