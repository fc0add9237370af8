"""Losses that compare each sample with others."""
import torch
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def patch_nce(queries: Tensor, keys: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Cross entropy of finding each query's own key among all keys of its image (CUT, Park et al. 2020, eq. 3). Both are
    (B,P,D), unit length, for P places; keys get no gradient. Scalar."""
    logits = queries @ keys.detach().transpose(1, 2) / temperature  # (B,P,P)
    own = torch.arange(logits.shape[1], device=logits.device).repeat(len(logits))
    return F.cross_entropy(logits.flatten(0, 1), own)


@full_precision
def photo_drawing(identities: Tensor, person: Tensor, drawing: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Supervised contrast between the two kinds (Khosla et al. 2020, eq. 2): for each image, cross entropy of finding the
    images of its person among all of the other kind, averaged over them. identities (B,D) of unit length, person (B,) int64,
    drawing (B,) bool. Images without a partner do not count; scalar, 0 where there is none."""
    other = drawing[:, None] != drawing
    logits = identities @ identities.t() / temperature  # (B,B)
    logits = logits.masked_fill(~other, torch.finfo(logits.dtype).min)
    partners = other & (person[:, None] == person)
    found = -(logits.log_softmax(1) * partners).sum(1) / partners.sum(1).clamp(min=1)
    return found.sum() / partners.any(1).sum().clamp(min=1)
