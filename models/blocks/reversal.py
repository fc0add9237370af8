"""Gradient reversal (Ganin & Lempitsky 2015, eq. 9 and 10)."""
import torch
from torch import Tensor


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return -gradient


def reverse_gradient(x: Tensor) -> Tensor:
    """x itself, whose gradient comes back with the opposite sign: what lies before it works against the loss."""
    return _Reversed.apply(x)
