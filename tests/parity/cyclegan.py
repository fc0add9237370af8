"""CycleGAN, pix2pix, CUT, and the anime CycleGAN with self-attention."""
import torch
from torch import Tensor, nn

from models.blocks.patch import PatchDiscriminator
from models.translation.cyclegan.networks import AttentionDiscriminator, AttentionGenerator
from models.translation.generators import ResNetGenerator, UNetGenerator
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


_OUT = forward('out')

CYCLEGAN = {
    'cyclegan_resnet9': Network(resnet_generator, _OUT),
    'pix2pix_unet256': Network(lambda config: UNetGenerator(config['ngf'], norm=config['norm']), _OUT),
    'patchgan70_instance': Network(patch_discriminator, _OUT),
    'patchgan70_batch': Network(patch_discriminator, _OUT),
    'cut_resnet9': Network(resnet_generator, image_and_maps),
    'cut_patchgan': Network(patch_discriminator, _OUT),
    'anime_person_gen_sa': Network(lambda config: AttentionGenerator(config['conv_dim'], config['z_dim']), _OUT),
    'anime_person_dis_sa': Network(lambda config: AttentionDiscriminator(config['conv_dim']), _OUT),
}
