"""Parameters, floating point operations, seconds and memory."""
import time

import torch
from torch import nn

from experiments.evaluation.metrics.cost import gigaflop, parameters, peak_megabytes, timed


def test_operations_and_parameters_of_a_convolution():
    layer = nn.Conv2d(3, 8, 5, padding=2)
    assert parameters(layer) == 8 * 3 * 25 + 8
    assert gigaflop(lambda: layer(torch.zeros(2, 3, 16, 16))) == 2 * 2 * 16 * 16 * 8 * 3 * 25 / 1e9


def test_seconds_and_memory():
    result, seconds = timed(lambda: (time.sleep(0.02), torch.ones(3))[1])
    assert result.tolist() == [1, 1, 1] and 0.02 <= seconds < 2
    before = peak_megabytes(torch.device('cpu'))
    tensor = torch.ones(64 * 2 ** 18)  # 64 MiB
    assert peak_megabytes(torch.device('cpu')) >= before > 10 and len(tensor)


def test_operations_of_a_gradient_are_counted():
    layer, image = nn.Conv2d(3, 3, 3, padding=1, bias=False), torch.ones(1, 3, 8, 8, requires_grad=True)
    forward = gigaflop(lambda: layer(image))
    assert gigaflop(lambda: torch.autograd.grad(layer(image).sum(), image)) == 2 * forward
