"""pix2pixHD."""
import torch
from torch import Tensor

from models.translation.pix2pixhd.networks import FeatureEncoder, GlobalGenerator, LocalEnhancer, PatchDiscriminators, spread
from tests.parity.fixture import Fixture
from tests.parity.network import Network, forward


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

PIX2PIXHD = {
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
