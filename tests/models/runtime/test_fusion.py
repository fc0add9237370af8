"""Fused inference networks against the originals."""
import pytest
import torch
from torch import nn

from models.perception.encoders.iresnet import IResNet
from models.perception.encoders.mobilefacenet import MobileFaceNet, MobileFaceNetInsight
from models.perception.parsers.bisenet import BiSeNet
from models.perception.parsers.parser import ParsingUNet
from models.runtime.fusion import fused, widened


@pytest.mark.parametrize(('network', 'size'), [
    (lambda: IResNet(18), (112, 112)), (MobileFaceNet, (112, 96)), (MobileFaceNetInsight, (112, 112)), (ParsingUNet, (64, 64)),
    (BiSeNet, (64, 64))], ids=['iresnet', 'mobilefacenet', 'mobilefacenet-insight', 'unet', 'bisenet'])
def test_fused_network_equals_the_original(network, size):
    torch.manual_seed(0)
    network = network().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.normal_(module.weight, 1, 0.1)
    images = torch.rand(2, 3, *size) * 2 - 1
    fast = fused(network)
    with torch.no_grad():
        before, after = network(images), fast(images)
    before, after = (output if isinstance(output, torch.Tensor) else output[0] for output in (before, after))
    assert (before - after).abs().max() <= 2e-5 * before.abs().max()
    norms = [sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()) for model in (network, fast)]
    assert norms[1] < norms[0] / 2


def test_wide_kernel_by_rows_equals_convolution():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 7), nn.ReflectionPad2d((2, 2, 3, 3)), nn.Conv2d(16, 3, (7, 5)), nn.Conv2d(3, 3, 7))
    fast, images = widened(network), torch.randn(2, 3, 20, 24)
    assert [type(module) is nn.Conv2d for module in fast] == [True, False, False, True]
    torch.testing.assert_close(fast(images), network(images))
