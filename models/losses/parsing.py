"""Agreement of parsing maps."""
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def parsing_agreement(logits: Tensor, labels: Tensor, face: Tensor) -> Tensor:
    """Cross entropy of a swap's parsing logits (B,19,H,W) with the target's labels (B,H,W), mean over the face (B,1,H,W), 1 =
    face. Scalar. It preserves the target's pose and expression."""
    value = F.cross_entropy(logits, labels, reduction='none').unsqueeze(1)  # (B,1,H,W)
    return (value * face).sum() / face.sum().clamp_min(1)
