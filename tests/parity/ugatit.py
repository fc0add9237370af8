"""U-GAT-IT and its enhanced version."""
import torch
from torch import Tensor, nn

from models.translation.ugatit.networks import Discriminator, Generator
from tests.parity.fixture import Fixture
from tests.parity.network import Network, forward


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


_TRANSLATION = forward('out', 'cam_logit', 'heatmap', 'attention')


def _translated(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    return {name: value for name, value in _TRANSLATION(network, fixture).items() if value is not None}


UGATIT = {
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
}
