"""Margin heads that turn embeddings into logits for cross entropy: ArcFace, CosFace, and ArcFace with a hard margin."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Parameter

from models.precision import full_precision


class _CosineHead(nn.Module):
    def __init__(self, features: int, classes: int):
        super().__init__()
        self.weight = Parameter(torch.empty(classes, features).normal_(0, 0.01))

    @full_precision
    def cosine(self, x: Tensor) -> Tensor:
        """(B,features) -> (B,classes), the cosine to each class weight."""
        return F.normalize(x) @ F.normalize(self.weight).t()


class MarginHead(_CosineHead):
    """ArcFace (arXiv:1801.07698, equation 4) or CosFace (arXiv:1801.09414, equation 4), as insightface arcface_torch has them.

    (B,features), (B,) int64 person -> (B,classes) logits for cross entropy. arc: angle added to the target's angle; cos:
    taken from the target's cosine; one of them is 0. As published the margin moves the value of the target logit only: the
    derivative of every logit by its cosine is `scale`. A person of -1 keeps its row without margin.
    """

    def __init__(self, features: int, classes: int, *, arc: float = 0.0, cos: float = 0.0, scale: float = 64.0):
        super().__init__(features, classes)
        if arc and cos:
            raise ValueError('a margin head adds an angle (arc) or takes a cosine (cos), not both')
        self.arc, self.cos, self.scale = arc, cos, scale

    def forward(self, x: Tensor, person: Tensor) -> Tensor:
        cosine = self.cosine(x).clamp(-1, 1)
        with torch.no_grad():
            target = (torch.arange(cosine.shape[1], device=x.device) == person[:, None]).to(cosine.dtype)
            moved = (cosine.acos() + self.arc).cos() - self.cos
            margin = (moved - cosine) * target
        return self.scale * (cosine + margin)


class HardMarginHead(_CosineHead):
    """ArcFace with a hard margin and the ordinary gradient, as Xiaoccer/MobileFaceNet_Pytorch trains.

    (B,features), (B,) int64 person -> (B,classes) logits. Target: cos(t + margin), and cos t - margin sin(margin) where
    t + margin would pass pi.
    """

    def __init__(self, features: int, classes: int, *, margin: float = 0.5, scale: float = 32.0):
        super().__init__(features, classes)
        self.margin, self.scale = margin, scale

    def forward(self, x: Tensor, person: Tensor) -> Tensor:
        cosine = self.cosine(x)
        sine = (1 - cosine**2).clamp(min=1e-12).sqrt()
        moved = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        past = cosine <= -math.cos(self.margin)
        moved = torch.where(past, cosine - self.margin * math.sin(self.margin), moved)
        target = F.one_hot(person, cosine.shape[1]).bool()
        return self.scale * torch.where(target, moved, cosine)
