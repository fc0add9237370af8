"""CycleGAN, pix2pix, CUT, StarGAN v2 and the face and anime CycleGAN: one entry per folder of fixtures."""
import torch
from torch import Tensor, nn

from models.blocks.patch import PatchDiscriminator
from models.translation.cyclegan.networks import AttentionDiscriminator, AttentionGenerator
from models.translation.generators import ResNetGenerator, UNetGenerator
from models.translation.stargan.networks import DomainDiscriminator, MappingNetwork, StyleEncoder, StyleGenerator
from tests.parity.fixture import Fixture
from tests.parity.network import Network, forward


def resnet_generator(config: dict) -> nn.Module:
    return ResNetGenerator(config['ngf'], config.get('n_blocks', 9), antialias=config.get('antialias', False))


def patch_discriminator(config: dict) -> nn.Module:
    return PatchDiscriminator(config['input_nc'], config['ndf'], config['n_layers'], norm=config['norm'],
                       antialias=config.get('antialias', False))


@torch.no_grad()
def image_and_maps(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    layers = fixture.config['nce_layers']
    maps = network.maps(*fixture.inputs(), layers)
    return {'out': network(*fixture.inputs()), **{f'feat{layer}': value for layer, value in zip(layers, maps)}}


@torch.no_grad()
def styled(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    return {'out': network(*fixture.inputs(), fixture.normal([1, fixture.config['style_dim']], 'style'))}


@torch.no_grad()
def of_domains(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    return {'out': network(*fixture.inputs(), torch.tensor(fixture.config['y']))}


@torch.no_grad()
def mapped(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    return {'out': network(fixture.normal(fixture.config['input']), torch.tensor(fixture.config['y']))}


def widths(config: dict) -> tuple[int, int]:
    """Width of the first layer and largest width."""
    return 2 ** 14 // config['img_size'], config.get('max_conv_dim', 512)


_OUT = forward('out')

TRANSLATION_A = {
    'cyclegan_resnet9': Network(resnet_generator, _OUT),
    'pix2pix_unet256': Network(lambda config: UNetGenerator(config['ngf'], norm=config['norm']), _OUT),
    'patchgan70_instance': Network(patch_discriminator, _OUT),
    'patchgan70_batch': Network(patch_discriminator, _OUT),
    'cut_resnet9': Network(resnet_generator, image_and_maps),
    'cut_patchgan': Network(patch_discriminator, _OUT),
    'anime_person_gen_sa': Network(lambda config: AttentionGenerator(config['conv_dim'], config['z_dim']), _OUT),
    'anime_person_dis_sa': Network(lambda config: AttentionDiscriminator(config['conv_dim']), _OUT),
    'starganv2_gen': Network(
        lambda config: StyleGenerator(config['img_size'], config['style_dim'], *widths(config), config['w_hpf']), styled
    ),
    'starganv2_mapping': Network(
        lambda config: MappingNetwork(config['latent_dim'], config['style_dim'], config['num_domains']), mapped
    ),
    'starganv2_style_encoder': Network(
        lambda config: StyleEncoder(config['img_size'], config['style_dim'], config['num_domains'], *widths(config)), of_domains
    ),
    'starganv2_dis': Network(
        lambda config: DomainDiscriminator(config['img_size'], config['num_domains'], *widths(config)), of_domains
    ),
}
