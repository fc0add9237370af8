"""Distances between inner maps of a frozen network."""
import torch
from torch import Tensor

from models.precision import full_precision


@full_precision
def perceptual_l1(maps: list[Tensor], answers: list[Tensor], chosen: Tensor) -> Tensor:
    """Mean over the maps (B,C,h,w) of L1 divided by the answers' mean magnitude (Johnson et al. 2016, eq. 2, with L1), over the
    samples where chosen (B,) is True."""
    weight = chosen.to(maps[0].dtype)
    total = maps[0].new_zeros(())
    for value, answer in zip(maps, answers):
        answer = answer.detach()
        distance = (value - answer).abs().flatten(1).mean(1) / answer.abs().mean().clamp_min(1e-6)
        total = total + (distance * weight).sum() / weight.sum().clamp_min(1)
    return total / len(maps)


@full_precision
def parsing_agreement(logits: Tensor, labels: Tensor, face: Tensor) -> Tensor:
    """Cross entropy of a swap's parsing logits (B,19,H,W) against the target's labels (B,H,W) inside face (B,1,H,W): the swap
    keeps the target's pose and expression as far as a parser sees them."""
    value = torch.nn.functional.cross_entropy(logits, labels, reduction='none').unsqueeze(1)
    return (value * face).sum() / face.sum().clamp_min(1)
