"""LPIPS against its equation; the Inception of FID against torchvision."""
import torch
from torchvision.models.inception import InceptionA, InceptionE

from models.perception.features import inception
from models.perception.features.lpips import LPIPS


def test_lpips_equals_its_equation():
    torch.manual_seed(0)
    network = LPIPS()
    for head in network.heads:
        head.copy_(torch.rand_like(head))
    first, second = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    expected = torch.zeros(2)
    taps = {1: 0, 4: 1, 7: 2, 9: 3, 11: 4}  # index of the ReLU after each convolution in AlexNet
    for sample in range(2):
        maps = []
        for image in (first[sample], second[sample]):
            mean, deviation = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])[..., None, None]
            x = (image[None] - mean) / deviation
            layer_maps = []
            for i in range(12):
                x = torch.relu(x) if i in taps else network.features[i](x)
                if i in taps:
                    layer_maps.append(torch.nn.functional.normalize(x, dim=1)[0])
            maps.append(layer_maps)
        for head, a, b in zip(network.heads, *maps):
            expected[sample] += torch.einsum('c,chw->hw', head, (a - b) ** 2).mean()
    assert torch.allclose(network(first, second), expected, rtol=1e-4)
    assert network(first, first).abs().max() < 1e-7
    assert network(first[..., :32, :32], second[..., :32, :32]).shape == (2,)


def test_inception_differs_from_torchvision_in_its_pooling():
    torch.manual_seed(0)
    block, reference = inception._A(8, 4).eval(), InceptionA(8, 4).eval()
    reference.load_state_dict(block.state_dict())
    x = torch.rand(1, 8, 9, 9) + 1
    difference = (block(x) - reference(x)).abs().amax((0, 1))
    assert difference[1:-1, 1:-1].max() < 1e-6 and difference[0].min() > 0 and difference[:, -1].min() > 0
    last, reference = inception._E(8, max_pooling=True).eval(), InceptionE(8).eval()
    reference.load_state_dict(last.state_dict())
    flat, spike = torch.zeros(1, 8, 9, 9), torch.zeros(1, 8, 9, 9)
    spike[0, :, 4, 4] = 9
    pooled = [module(spike)[0, -192:].amax(0) - module(flat)[0, -192:].amax(0) for module in (last, reference)]
    assert torch.allclose(last.branch_pool(torch.full((1, 8, 1, 1), 9.0))[0, :, 0, 0].amax(), pooled[0][3, 3] + 0, atol=1e-3)
    assert not torch.allclose(*pooled, atol=1e-3)


def test_inception_features_and_tensor_names():
    network = inception.InceptionFeatures()
    names = set(network.network.state_dict())
    assert {'Conv2d_1a_3x3.conv.weight', 'Mixed_6e.branch7x7dbl_5.bn.running_var', 'Mixed_7c.branch_pool.conv.weight'} <= names
    assert not any('AuxLogits' in name or name.startswith('fc.') for name in names)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, inception.FEATURES)
