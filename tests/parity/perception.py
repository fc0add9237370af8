"""Perception networks: encoders, parsers, detectors, and the heads of their training."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from facexlib.detection.retinaface import RetinaFace
from torch import Tensor, nn

from models.perception.encoders.iresnet import IResNet
from models.perception.encoders.margins import HardMarginHead, MarginHead
from models.perception.encoders.mobilefacenet import MobileFaceNet, MobileFaceNetInsight
from models.perception.encoders.sphereface import AngleLinear, SphereFace20, angle_loss, annealing
from models.perception.parsers.bisenet import BiSeNet
from tests.parity.fixture import Fixture
from tests.parity.network import Network, forward


def parse(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    maps = forward('out', 'out16', 'out32')(network, fixture)
    return {**maps, 'argmax': maps['out'].argmax(1, keepdim=True).float()}


def _with_gradients(head: nn.Module, fixture: Fixture, loss_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """A loss and its gradients with respect to the embedding and the class weights."""
    x = fixture.tensor('x').requires_grad_()
    loss = loss_of(x)
    return loss, *torch.autograd.grad(loss, [x, head.weight])


def margin_heads(arcface: MarginHead, fixture: Fixture) -> dict[str, Tensor]:
    labels = fixture.tensor('labels')
    outputs = {'cosine': arcface.cosine(fixture.tensor('x'))}
    heads = {'arcface': arcface, 'cosface': MarginHead(8, 20, cos=0.4), 'arcmargin_s32_m05': HardMarginHead(8, 20)}
    for name, head in heads.items():
        head.load_state_dict(arcface.state_dict())
        outputs[f'{name}_logits'] = head(fixture.tensor('x'), labels)
        loss = _with_gradients(head, fixture, lambda x, head=head: F.cross_entropy(head(x, labels), labels))
        outputs |= dict(zip([f'{name}_loss', f'{name}_grad_x', f'{name}_grad_weight'], loss))
    return outputs


def angular_layer(layer: AngleLinear, fixture: Fixture) -> dict[str, Tensor]:
    labels, iterations = fixture.tensor('labels'), fixture.arrays['loss_iterations'].tolist()
    cosine, psi = layer(fixture.tensor('x'))
    _, grad_x, grad_weight = _with_gradients(layer, fixture, lambda x: angle_loss(*layer(x), labels, 100))
    return {'cos_logits': cosine, 'phi_logits': psi,
            'loss_lambda': torch.tensor([annealing(iteration) for iteration in iterations]),
            'loss_gamma0': torch.stack([angle_loss(cosine, psi, labels, iteration) for iteration in iterations]),
            'loss_gamma2_it100': angle_loss(cosine, psi, labels, 100, gamma=2),
            'grad_x_it100': grad_x, 'grad_weight_it100': grad_weight}


def _retinaface(config: dict) -> nn.Module:
    return RetinaFace(network_name=config['network_name'], device='cpu')


_DETECTION = forward('bbox', 'prob', 'landmark')

PERCEPTION = {
    'iresnet18': Network(lambda config: IResNet(18), forward('embedding')),
    'iresnet34': Network(lambda config: IResNet(34), forward('embedding')),
    'iresnet50': Network(lambda config: IResNet(50), forward('embedding')),
    'iresnet100': Network(lambda config: IResNet(100), forward('embedding')),
    'iresnet200': Network(lambda config: IResNet(200), forward('embedding')),
    'mobilefacenet_insightface': Network(
        lambda config: MobileFaceNetInsight(config['num_features'], tuple(config['blocks']), config['scale']),
        forward('embedding')),
    'mobilefacenet_112x96': Network(lambda config: MobileFaceNet(config['embedding']), forward('embedding')),
    'arcface_margin': Network(
        lambda config: MarginHead(config['in_features'], config['out_features'], arc=0.5), margin_heads),
    'sphere20a': Network(lambda config: SphereFace20(config['classnum']), forward('embedding')),
    'sphereface_anglelinear': Network(lambda config: AngleLinear(config['in_features'], config['out_features']), angular_layer),
    'bisenet_face_parsing': Network(lambda config: BiSeNet(config['n_classes']), parse, labels=('argmax',)),
    'retinaface_mobile025': Network(_retinaface, _DETECTION),
    'retinaface_resnet50': Network(_retinaface, _DETECTION, tolerance={'prob': 5e-5}),
}
