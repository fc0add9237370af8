"""Losses of U-GAT-IT, in float32 under autocast as well."""
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@full_precision
def squared_error(logits: Tensor, label: Tensor, region: Tensor | None = None) -> Tensor:
    """Mean of (logit - label)^2, a scalar.

    Args:
        logits: of patches (B,1,h,w), or of a classifier (B,2).
        label: broadcastable to the logits.
        region: (B,1,H,W) in [0,1], which scales the differences of patch logits.
    """
    error = logits - label
    if region is not None:
        error = error * F.interpolate(region, error.shape[2:], mode='area')
    return error.square().mean()


@full_precision
def cam_cross_entropy(logits: Tensor, count: int) -> Tensor:
    """Binary cross entropy of logits (B,2) with label 1 for the first `count` rows and 0 for the others, a scalar."""
    return F.softplus(-logits[:count]).mean() + F.softplus(logits[count:]).mean()


@full_precision
def restrict_gradient(images: Tensor, region: Tensor) -> Tensor:
    """The images (B,3,H,W), whose gradient is scaled by the region (B,1,H,W) in [0,1]."""
    return images.detach().lerp(images, region)
