"""StarGAN v2."""
import torch
from torch import Tensor, nn

from models.translation.stargan.networks import DomainDiscriminator, MappingNetwork, StyleEncoder, StyleGenerator
from tests.parity.fixture import Fixture
from tests.parity.network import Network


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
    """First and largest width."""
    return 2 ** 14 // config['img_size'], config.get('max_conv_dim', 512)

STARGAN = {
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
