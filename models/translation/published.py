"""Published checkpoints of translators -> the networks of our families, strictly: nothing may lack and nothing may be left.

| system                  | files                                                         |
| ----------------------- | ------------------------------------------------------------- |
| CycleGAN                | EPOCH_net_NAME.pth with the names G_A, G_B, D_A, D_B          |
| face and anime CycleGAN | the state of the whole trainer: netG_A.module. ...            |
| CUT                     | EPOCH_net_NAME.pth with the names G, F, D                     |
| StarGAN v2              | STEP_nets_ema.ckpt: generator, mapping_network, style_encoder |
"""
from pathlib import Path

from torch import Tensor, nn

from models.convert import read_state
from models.translation.translator import Translator
from models.weights import WeightsError

_STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')


def fill(network: nn.Module, state: dict[str, Tensor], prefix: str = '') -> None:
    """Load the entries of a published state whose names begin with `prefix`. Statistics of instance norms, which old files
    hold and nothing uses, are left out. WeightsError names an entry that lacks or is too many."""
    own = network.state_dict()
    part = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    part = {name: value for name, value in part.items() if name in own or not name.endswith(_STATISTICS)}
    odd = {name for name, _ in {(name, value.shape) for name, value in own.items()} ^
           {(name, value.shape) for name, value in part.items()}}
    if odd:
        raise WeightsError(f'the file does not fit the network: {len(odd)} entries differ, such as {prefix}{min(odd)}; give the '
                           'config that the file was trained with')
    network.load_state_dict(part)


def _fill_from(folder: Path, epoch: str, places: dict[str, nn.Module], needed: str) -> None:
    """Fill each network from EPOCH_net_NAME.pth where there is one; WeightsError where the needed one is absent."""
    if not (folder / f'{epoch}_net_{needed}.pth').is_file():
        raise WeightsError(f'{folder} holds no {epoch}_net_{needed}.pth: name the folder of a published run and its epoch')
    for name, network in places.items():
        file = folder / f'{epoch}_net_{name}.pth'
        if file.is_file():
            fill(network, read_state(file))


def load_cyclegan(family: Translator, folder: Path, epoch: str = 'latest') -> None:
    """The published critic D_A judges what G_A draws, and so the domain b. Files that are absent, as the critics are from most
    downloads, leave their networks as they were; at least one generator is needed."""
    places = {'G_A': family.a2b, 'G_B': family.b2a, 'D_A': family.critic_b, 'D_B': family.critic_a}
    first = 'G_A' if (folder / f'{epoch}_net_G_A.pth').is_file() else 'G_B'
    _fill_from(folder, epoch, places, first)


def load_anime(family: Translator, file: Path) -> None:
    """Its domain A is anime, ours is photos: G_A draws photos."""
    state = read_state(file)
    places = {'netG_A': family.b2a, 'netG_B': family.a2b, 'netD_A': family.critic_a, 'netD_B': family.critic_b}
    for name, network in places.items():
        fill(network, state, f'{name}.module.')


def load_cut(family: Translator, folder: Path, epoch: str = 'latest') -> None:
    """Projector and critic where their files are there."""
    _fill_from(folder, epoch, {'G': family.generator, 'F': family.projector, 'D': family.critic}, 'G')


def load_stargan(family: Translator, file: Path) -> None:
    """The averaged generator, mapping network and style encoder."""
    places = {'generator': family.generator, 'mapping_network': family.mapping, 'style_encoder': family.encoder}
    for name, network in places.items():
        fill(network, read_state(file, name))
