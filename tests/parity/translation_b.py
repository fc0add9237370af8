"""Translation with content and style, with class activation maps, and from label maps: one entry per folder of fixtures."""
import torch
from torch import Tensor, nn

from models.losses.adversarial import discriminator_on_fake, discriminator_on_real, generator_loss
from models.translation.content_style.networks import ScaleDiscriminator, StyleGenerator
from models.translation.pix2pixhd.networks import FeatureEncoder, GlobalGenerator, LocalEnhancer, PatchDiscriminators, spread
from models.translation.ugatit.networks import Discriminator, Generator
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


def _ugatit_generator(config: dict) -> nn.Module:
    return Generator(config['img_size'], config['ngf'], config['n_blocks'], int(config['light']))


def _enhanced_generator(config: dict) -> nn.Module:
    return Generator(config['img_size'], config['ngf'], config['n_blocks'], max(0, config['light']), enhanced=True,
                     squeeze=config['use_se'], masks=config['attention_gan'], keep_input=config['attention_input'])


@torch.no_grad()
def _ugatit_discriminator(network: Discriminator, fixture: Fixture) -> dict[str, Tensor]:
    names = 'out', 'cam_logit', 'heatmap'
    outputs = dict(zip(names, network(*fixture.inputs())))
    trained = network.train()(*fixture.inputs())
    first = network.model[1]
    return {**outputs, **{f'train_{name}': value for name, value in zip(names, trained)},
            'train_u_first': first.weight_u, 'train_v_first': first.weight_v}


@torch.no_grad()
def _enhanced_discriminator(network: Discriminator, fixture: Fixture) -> dict[str, Tensor]:
    mask = torch.from_numpy(fixture.stream('mask').random((1, 1, 64, 64)) > 0.5).float()
    out, cam, heatmap = network.train()(*fixture.inputs(), cam_mask=mask)
    return {'train_out': out, 'train_cam_logit': cam, 'train_heatmap': heatmap}


@torch.no_grad()
def _feature_encoder(network: FeatureEncoder, fixture: Fixture) -> dict[str, Tensor]:
    image = fixture.inputs()[0]
    regions = torch.from_numpy(fixture.stream('inst').integers(0, 5, (2, 1, 8, 8)))
    regions = regions.repeat_interleave(8, 2).repeat_interleave(8, 3)
    means, _ = network(image, regions[:, 0], 5)
    return {'raw': network.model(image), 'out': spread(means, regions[:, 0])}


@torch.no_grad()
def _patch_discriminators(network: PatchDiscriminators, fixture: Fixture) -> dict[str, Tensor]:
    return {f'scale{scale}_feat{layer}': value for scale, maps in enumerate(network(*fixture.inputs()))
            for layer, value in enumerate(maps)}


_TRANSLATED = forward('out', 'cam_logit', 'heatmap', 'attention')


def _translated(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    return {name: value for name, value in _TRANSLATED(network, fixture).items() if value is not None}


TRANSLATION_B = {
    'munit_gen': Network(_style_generator(False), _munit_generator),
    'munit_dis': Network(_scale_discriminator(False), _munit_discriminator),
    'satnet_gen': Network(_style_generator(True), _satnet_generator),
    'satnet_dis': Network(_scale_discriminator(True), forward('out0', 'out1')),
    'ugatit_gen_light': Network(_ugatit_generator, _translated),
    'ugatit_gen_full': Network(_ugatit_generator, _translated),
    'ugatit_dis_global': Network(lambda config: Discriminator(config['n_layers'], config['ndf']), _ugatit_discriminator),
    'ugatit_dis_local': Network(lambda config: Discriminator(config['n_layers'], config['ndf']), _ugatit_discriminator),
    'enhanced_ugatit_gen': Network(_enhanced_generator, _translated),
    'enhanced_ugatit_gen_plain': Network(_enhanced_generator, _translated),
    'enhanced_ugatit_dis_local': Network(
        lambda config: Discriminator(
            config['n_layers'], config['ndf'], enhanced=True, sn=config['with_sn'], attention=config['use_cam_attention']
        ),
        _enhanced_discriminator,
    ),
    'pix2pixhd_global': Network(
        lambda config: GlobalGenerator(config['input_nc'], config['ngf'], config['n_downsampling'], config['n_blocks']),
        forward('out'),
    ),
    'pix2pixhd_local': Network(
        lambda config: LocalEnhancer(
            config['input_nc'], config['ngf'], config['n_downsample_global'], config['n_blocks_global'], config['n_blocks_local']
        ),
        forward('out'),
    ),
    'pix2pixhd_encoder': Network(
        lambda config: FeatureEncoder(config['output_nc'], config['ngf'], config['n_downsampling']), _feature_encoder
    ),
    'pix2pixhd_multid': Network(
        lambda config: PatchDiscriminators(config['input_nc'], config['ndf'], config['n_layers'], config['num_D']),
        _patch_discriminators,
    ),
}
