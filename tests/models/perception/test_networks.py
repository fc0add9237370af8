"""Perception networks: shapes, VGG features, margins, angular loss."""
import pytest
import torch
from torch.nn import functional as F
from torchvision import models

from models.perception.encoders.iresnet import DEPTHS, IResNet
from models.perception.encoders.margins import HardMarginHead, MarginHead
from models.perception.encoders.mobilefacenet import MobileFaceNetInsight
from models.perception.encoders.sphereface import AngleLinear, SphereFace20, angle_loss, annealing
from models.perception.features.vgg import VGGFeatures


@pytest.mark.parametrize('depth', DEPTHS)
def test_iresnet_depth(depth):
    with torch.device('meta'):
        network = IResNet(depth)
    convolutions = sum('conv' in name and value.dim() == 4 for name, value in network.state_dict().items())
    assert convolutions == 2 * sum(DEPTHS[depth]) + 1
    assert network(torch.empty(2, 3, 112, 112, device='meta')).shape == (2, 512)


def test_large_mobilefacenet_output():
    with torch.device('meta'):
        network = MobileFaceNetInsight(blocks=(2, 8, 12, 4), scale=4)
    assert network(torch.empty(2, 3, 112, 112, device='meta')).shape == (2, 512)


@pytest.mark.parametrize('depth', [16, 19])
def test_vgg_equals_torchvision_with_normalization(depth):
    torch.manual_seed(0)
    with torch.device('meta'):  # skips the initialization of the large classifier
        reference = (models.vgg16 if depth == 16 else models.vgg19)(weights=None).features.eval()
    features = VGGFeatures(depth, ('conv2_1', 'relu4_1', 'pool5')).eval()
    reference.to_empty(device='cpu').load_state_dict(features.features.state_dict())
    images = torch.rand(1, 3, 32, 48) * 2 - 1
    scaled = (images + 1) / 2
    scaled = torch.stack([(scaled[:, i] - mean) / deviation for i, (mean, deviation) in
                          enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)])], 1)
    maps = features(images)
    assert list(maps) == ['conv2_1', 'relu4_1', 'pool5'] and maps['conv2_1'].shape == (1, 128, 16, 24)
    assert maps['conv2_1'].min() < 0, 'a tapped convolution was overwritten by the ReLU after it'
    end = {16: 19, 19: 21}[depth]  # one past the fourth group's first ReLU
    assert torch.allclose(maps['relu4_1'], reference[:end](scaled), atol=1e-5)
    assert torch.allclose(maps['pool5'], reference(scaled), atol=1e-5)
    selected = features(images, ('relu4_1',))
    assert list(selected) == ['relu4_1'] and torch.equal(selected['relu4_1'], maps['relu4_1'])


def test_vgg_rejects_unknown_layers():
    with pytest.raises(ValueError, match='relu1_1'):
        VGGFeatures(16, ('relu3_4',))
    with pytest.raises(ValueError, match='16, 19'):
        VGGFeatures(13)


def test_sphereface_output_and_feature_maps():
    with torch.device('meta'):
        network = SphereFace20(classes=None)
    image = torch.empty(2, 3, 112, 96, device='meta')
    assert network(image).shape == (2, 512) and 'fc6.weight' not in network.state_dict()
    assert [tuple(m.shape[1:]) for m in network.features(image)] == [(64, 56, 48), (128, 28, 24), (256, 14, 12), (512, 7, 6)]


def test_annealing_decreases_to_its_minimum():
    values = [annealing(iteration) for iteration in range(1, 4000, 50)]
    assert values == sorted(values, reverse=True) and values[-1] == 5


@pytest.mark.parametrize('build', [lambda: MarginHead(8, 5, arc=0.5), lambda: MarginHead(8, 5, cos=0.4),
                                   lambda: HardMarginHead(8, 5)], ids=['arcface', 'cosface', 'hard margin'])
def test_margin_lowers_the_target_logit_only(build):
    torch.manual_seed(1)
    head, x, label = build(), torch.randn(6, 8, requires_grad=True), torch.tensor([0, 1, 2, 3, 4, 0])
    logits, plain = head(x, label), head.scale * head.cosine(x)
    target = F.one_hot(label, 5).bool()
    assert (logits[target] < plain[target] - 1).all()
    assert torch.allclose(logits[~target], plain[~target], atol=1e-4)
    F.cross_entropy(logits, label).backward()
    moved = head.cosine(x.detach() - 1e-3 * x.grad)[target]
    assert (moved >= head.cosine(x.detach())[target]).all()


def test_label_minus_one_has_no_margin():
    head, x = MarginHead(8, 5, arc=0.5), torch.randn(2, 8)
    assert torch.allclose(head(x, torch.tensor([-1, 2]))[0], head.scale * head.cosine(x)[0], atol=1e-4)


def test_two_margins_raise():
    with pytest.raises(ValueError, match='not both'):
        MarginHead(8, 5, arc=0.5, cos=0.4)


def test_psi_is_monotonically_decreasing():
    """The angular target decreases with the angle on [0, pi]."""
    layer = AngleLinear(2, 1)
    layer.weight.data = torch.tensor([[1.0], [0.0]])
    angle = torch.linspace(0.01, 3.13, 200)
    _, psi = layer(torch.stack([angle.cos(), angle.sin()], 1))
    assert (psi[1:] < psi[:-1] + 1e-5).all() and psi[0] > 0.99 and psi[-1] < -6.9


def test_focal_factor_has_no_gradient():
    layer, x, label = AngleLinear(6, 4), torch.randn(1, 6, requires_grad=True), torch.tensor([2])
    plain = torch.autograd.grad(angle_loss(*layer(x), label, 100), x)[0]
    focal = torch.autograd.grad(angle_loss(*layer(x), label, 100, gamma=2), x)[0]
    p = (-angle_loss(*layer(x), label, 100)).exp().item()
    assert torch.allclose(focal, (1 - p) ** 2 * plain, rtol=1e-4)
