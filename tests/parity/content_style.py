"""MUNIT and SATNet."""
import torch
from torch import Tensor, nn

from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.translation.content_style.networks import ScaleDiscriminator, StyleGenerator
from tests.parity.fixture import Fixture
from tests.parity.network import Network, forward


def _style_generator(attention: bool):
    def build(config: dict) -> nn.Module:
        gen = config['gen']
        return StyleGenerator(gen['dim'], gen['style_dim'], gen['mlp_dim'], gen['n_res'], attention=attention)
    return build


def _scale_discriminator(attention: bool):
    def build(config: dict) -> nn.Module:
        dis = config['dis']
        return ScaleDiscriminator(dis['dim'], dis['n_layer'], dis['num_scales'], sn=dis['norm'] == 'sn', attention=attention)
    return build


@torch.no_grad()
def _munit_generator(network: StyleGenerator, fixture: Fixture) -> dict[str, Tensor]:
    outputs = _satnet_generator(network, fixture)
    style = fixture.normal([2, 8, 1, 1], 'style')
    return {**outputs, 'recon': network.decode(outputs['content'], outputs['style']),
            'adain_params': network.mlp(style.flatten(1))}


@torch.no_grad()
def _satnet_generator(network: StyleGenerator, fixture: Fixture) -> dict[str, Tensor]:
    content, style = network.encode(fixture.inputs()[0])
    random_style = fixture.normal([2, 8, 1, 1], 'style')
    return {'content': content, 'style': style, 'random_style_out': network.decode(content, random_style)}


@torch.no_grad()
def _munit_discriminator(network: ScaleDiscriminator, fixture: Fixture) -> dict[str, Tensor]:
    image = fixture.inputs()[0]
    real, fake = network(image), network(fixture.uniform(list(image.shape), 'fake'))
    scales = len(real)
    return {**{f'out{scale}': logits for scale, logits in enumerate(real)},
            'lsgan_d_loss': scales * (discriminator_on_real('lsgan', real) + discriminator_on_fake('lsgan', fake))[None],
            'lsgan_g_loss': scales * generator_loss('lsgan', fake)[None]}

CONTENT_STYLE = {
    'munit_gen': Network(_style_generator(False), _munit_generator),
    'munit_dis': Network(_scale_discriminator(False), _munit_discriminator),
    'satnet_gen': Network(_style_generator(True), _satnet_generator),
    'satnet_dis': Network(_scale_discriminator(True), forward('out0', 'out1')),
}
