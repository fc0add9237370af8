"""CPU kernels against the torch layers that they replace."""
import copy

import pytest
import torch
from torch import nn

from configs.ignored import ignored_in
from configs.schema import RunConfig
from experiments.training.errors import RunError
from models.runtime.cpu_kernels import use_cpu_kernels
from models.runtime.cpu_kernels.instance_norm import GroupedInstanceNorm2d
from models.runtime.cpu_kernels.narrow_convolution import NarrowConv2d
from models.runtime.cpu_kernels.upsampling import UpsamplingConv2d
from tests.experiments.training.toy import Toy, toy_engine

LAYERS = {  # name -> kernel, replaced layer
    'instance norm': (GroupedInstanceNorm2d, lambda: nn.InstanceNorm2d(16)),
    'affine instance norm': (GroupedInstanceNorm2d, lambda: nn.InstanceNorm2d(16, affine=True)),
    'narrow 7x7': (NarrowConv2d, lambda: nn.Conv2d(16, 3, 7)),
    'narrow 3x3': (NarrowConv2d, lambda: nn.Conv2d(16, 3, 3, padding=1, bias=False)),
    'upsampling': (UpsamplingConv2d,
                   lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(16, 7, 3))),
}


def replaced(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network)
    assert use_cpu_kernels(network) == 1
    return network


@pytest.mark.parametrize('image_has_gradient', [True, False])
@pytest.mark.parametrize('name', LAYERS)
def test_values_gradients_and_state_equal_those_of_the_replaced_layer(name, image_has_gradient):
    torch.manual_seed(0)
    kernel_type, build = LAYERS[name]
    network = nn.Sequential(build() if name == 'upsampling' else nn.Sequential(build()))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    fast = replaced(network)
    assert any(type(layer) is kernel_type for layer in fast.modules())
    assert list(fast.state_dict()) == list(network.state_dict())
    x = torch.randn(2, 16, 9, 12, requires_grad=image_has_gradient)
    results = []
    for model in (fast, network):
        y = model(x)
        inputs = [*([x] if image_has_gradient else []), *model.parameters()]
        results.append([y.detach(), *(torch.autograd.grad(y.sin().sum(), inputs) if inputs else [])])
    for first, second in zip(*results):
        assert (first - second).abs().max() <= 1e-5 * second.abs().max().clamp_min(1)


@pytest.mark.parametrize('name', LAYERS)
def test_under_autocast_the_replaced_layer_runs(name):
    torch.manual_seed(0)
    network = nn.Sequential(LAYERS[name][1]())
    x = torch.randn(1, 16, 9, 9)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(replaced(network)(x), network(x))


def test_a_grouped_instance_norm_can_be_differentiated_twice():
    torch.manual_seed(0)
    network = nn.Sequential(nn.InstanceNorm2d(6, affine=True))
    x, results = (3 * torch.randn(2, 6, 5, 7) + 1).requires_grad_(), []
    for model in (replaced(network), network):
        gradient, = torch.autograd.grad(model(x).sin().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(gradient.square().sum(), x)[0])
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('layer', [
    nn.InstanceNorm2d(6, track_running_stats=True), nn.Conv2d(6, 3, 3, stride=2), nn.Conv2d(6, 3, 1), nn.Conv2d(6, 8, 3),
    nn.Conv2d(6, 3, 3, padding=1, padding_mode='reflect'),
    nn.Sequential(nn.Upsample(scale_factor=2, mode='bilinear'), nn.ReflectionPad2d(1), nn.Conv2d(6, 8, 3)),
])
def test_other_layers_stay(layer):
    network = nn.Sequential(layer)
    before = list(network.modules())
    assert use_cpu_kernels(network) == 0
    assert list(network.modules()) == before


@pytest.mark.parametrize('engine', [{'precision': 'bf16-mixed'}, {'accelerator': 'cuda'}])
def test_the_setting_is_refused_where_no_kernel_would_run(engine):
    config = RunConfig(family='cyclegan', engine={'cpu_kernels': True, **engine})
    assert 'engine.cpu_kernels' in ignored_in(config)
    assert 'engine.cpu_kernels' not in ignored_in(RunConfig(family='cyclegan', engine={'cpu_kernels': True}))


def test_the_engine_replaces_layers_of_generators_and_refuses_a_family_without_such_layers(tmp_path):
    class WithoutEMA(Toy):
        def ema_modules(self):
            return {}

    family = toy_engine(tmp_path / 'generator', cpu_kernels=True).family
    assert type(family.generator[0]) is nn.Conv2d and type(family.generator[4]) is NarrowConv2d
    assert all(type(layer) is not NarrowConv2d for layer in family.discriminator.modules())
    with pytest.raises(RunError, match='engine.cpu_kernels=true has no effect on toy'):
        toy_engine(tmp_path / 'none', family=WithoutEMA, cpu_kernels=True)
