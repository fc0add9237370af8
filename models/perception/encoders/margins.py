"""Margin heads for cross entropy: ArcFace, CosFace, and ArcFace with a hard margin."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Parameter

from models.precision import full_precision


class _CosineHead(nn.Module):
    """Base of the heads: `classes` class weights of length `features`."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.weight = Parameter(torch.empty(classes, features).normal_(0, 0.01))

    @full_precision
    def cosine(self, x: Tensor) -> Tensor:
        """Cosine of (B,features) to each class weight, (B,classes)."""
        return F.normalize(x) @ F.normalize(self.weight).t()


class MarginHead(_CosineHead):
    """ArcFace (arXiv:1801.07698, equation 4) or CosFace (arXiv:1801.09414, equation 4), equal to insightface's arcface_torch.

    Embeddings (B,features) and labels (B,) int64 -> logits (B,classes). A row with the label -1 has no margin. As published the
    margin has no gradient: the derivative of every logit by its cosine is `scale`.

    Args:
        arc: margin in radians, added to the angle of the target class.
        cos: margin subtracted from the cosine of the target class; `arc` or `cos` is 0.
        scale: factor of the logits.
    """

    def __init__(self, features: int, classes: int, *, arc: float = 0.0, cos: float = 0.0, scale: float = 64.0):
        super().__init__(features, classes)
        if arc and cos:
            raise ValueError('a margin head has an angular margin (arc) or a cosine margin (cos), not both')
        self.arc, self.cos, self.scale = arc, cos, scale

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        cosine = self.cosine(x).clamp(-1, 1)
        with torch.no_grad():
            target = (torch.arange(cosine.shape[1], device=x.device) == label[:, None]).to(cosine.dtype)
            shifted = (cosine.acos() + self.arc).cos() - self.cos
            margin = (shifted - cosine) * target
        return self.scale * (cosine + margin)


class HardMarginHead(_CosineHead):
    """ArcFace with a hard margin, differentiated through the margin, equal to Xiaoccer/MobileFaceNet_Pytorch.

    Embeddings (B,features) and labels (B,) int64 -> logits (B,classes). Logit of the target class: cos(t + margin), or
    cos t - margin sin(margin) where t + margin exceeds pi.
    """

    def __init__(self, features: int, classes: int, *, margin: float = 0.5, scale: float = 32.0):
        super().__init__(features, classes)
        self.margin, self.scale = margin, scale

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        cosine = self.cosine(x)
        sine = (1 - cosine**2).clamp(min=1e-12).sqrt()
        shifted = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond_pi = cosine <= -math.cos(self.margin)
        shifted = torch.where(beyond_pi, cosine - self.margin * math.sin(self.margin), shifted)
        target = F.one_hot(label, cosine.shape[1]).bool()
        return self.scale * torch.where(target, shifted, cosine)
