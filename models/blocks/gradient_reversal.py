"""Gradient reversal (Ganin & Lempitsky 2015, arXiv:1409.7495, eq. 9 and 10)."""
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return -gradient


def reverse_gradient(x: Tensor) -> Tensor:
    """The identity function, whose gradient has the opposite sign: layers before it maximize the loss that follows."""
    return _GradientReversal.apply(x)
