"""Distances of feature maps of a frozen network."""
from torch import Tensor

from models.precision import full_precision


@full_precision
def perceptual_l1(maps: list[Tensor], references: list[Tensor], selected: Tensor) -> Tensor:
    """Mean over feature maps (B,C,h,w) of |map - reference| / mean |reference| (Johnson et al. 2016, eq. 2, with L1). Scalar.

    references: the same maps of the reference images, without gradient. selected: (B,) bool, samples that are included, or float
    weights of the samples.
    """
    weight = selected.to(maps[0].dtype)
    total = maps[0].new_zeros(())
    for value, reference in zip(maps, references):
        reference = reference.detach()
        distance = (value - reference).abs().flatten(1).mean(1) / reference.abs().mean().clamp_min(1e-6)  # (B,)
        total = total + (distance * weight).sum() / weight.sum().clamp_min(1)
    return total / len(maps)
