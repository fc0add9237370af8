"""Published checkpoints of translators -> the networks of our families, strictly: nothing may lack and nothing may be left.

| system                  | files                                                         |
| ----------------------- | ------------------------------------------------------------- |
| CycleGAN                | EPOCH_net_NAME.pth with the names G_A, G_B, D_A, D_B          |
| face and anime CycleGAN | the state of the whole trainer: netG_A.module. ...            |
| CUT                     | EPOCH_net_NAME.pth with the names G, F, D                     |
| StarGAN v2              | STEP_nets_ema.ckpt: generator, mapping_network, style_encoder |
| MUNIT, SATNet           | gen_STEP.pt and dis_STEP.pt with the domains a and b          |
| U-GAT-IT, enhanced too  | one file: genA2B, genB2A, disGA, disGB, disLA, disLB          |
| pix2pixHD               | EPOCH_net_NAME.pth with the names G, D, E                     |
"""
from pathlib import Path

from torch import Tensor, nn

from models.convert import read_state
from models.translation.pix2pixhd.family import Pix2PixHD
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
    """The published discriminator D_A judges what G_A draws, and so the domain b. Files that are absent, as the discriminators
    are from most downloads, leave their networks as they were; at least one generator is needed."""
    places = {'G_A': family.a2b, 'G_B': family.b2a, 'D_A': family.discriminator_b, 'D_B': family.discriminator_a}
    first = 'G_A' if (folder / f'{epoch}_net_G_A.pth').is_file() else 'G_B'
    _fill_from(folder, epoch, places, first)


def load_anime(family: Translator, file: Path, epoch: str = '') -> None:
    """Its domain A is anime, ours is photos: G_A draws photos."""
    state = read_state(file)
    places = {'netG_A': family.b2a, 'netG_B': family.a2b, 'netD_A': family.discriminator_a, 'netD_B': family.discriminator_b}
    for name, network in places.items():
        fill(network, state, f'{name}.module.')


def load_cut(family: Translator, folder: Path, epoch: str = 'latest') -> None:
    """Projector and discriminator where their files are there."""
    _fill_from(folder, epoch, {'G': family.generator, 'F': family.projector, 'D': family.discriminator}, 'G')


def load_stargan(family: Translator, file: Path, epoch: str = '') -> None:
    """The averaged generator, mapping network and style encoder."""
    places = {'generator': family.generator, 'mapping_network': family.mapping, 'style_encoder': family.encoder}
    for name, network in places.items():
        fill(network, read_state(file, name))


def load_munit(family: Translator, source: Path, epoch: str = 'latest', domains: str = 'ab') -> None:
    """source: a file of generators, or a folder, of whose discriminators `latest` means those of the last step. domains: what a
    and b of the files are here."""
    step = epoch if epoch != 'latest' else '*'
    files = {'gen': [source], 'dis': []} if source.is_file() else {
        kind: sorted(source.glob(f'{kind}_{step}.pt')) for kind in ('gen', 'dis')}
    if not files['gen']:
        raise WeightsError(f'{source} holds no gen_{step}.pt: name the folder of a published run and its step')
    for kind, networks in (('gen', family.gen), ('dis', family.dis)):
        for published, own in zip('ab', domains):
            if files[kind]:
                fill(networks[own], read_state(files[kind][-1], published))


def load_satnet(family: Translator, source: Path, epoch: str = 'latest') -> None:
    """Its domain a are drawings, ours are photos."""
    load_munit(family, source, epoch, 'ba')


def load_ugatit(family: Translator, file: Path, epoch: str = '') -> None:
    for name, network in family.named_children():
        fill(network, read_state(file, name))


def load_pix2pixhd(family: Pix2PixHD, folder: Path, epoch: str = 'latest') -> None:
    """A global generator also fills that part of a local enhancer, whose training it begins."""
    file = folder / f'{epoch}_net_G.pth'
    state = read_state(file) if file.is_file() else {}
    if family.config.enhancer and state and not any(name.startswith('model1_') for name in state):
        wanted = family.generator.model.state_dict()
        part = {name: value for name, value in state.items() if name.removeprefix('model.') in wanted}
        fill(family.generator.model, part, 'model.')
        return
    encoder = {'E': family.encoder} if family.config.features else {}
    _fill_from(folder, epoch, {'G': family.generator, 'D': family.discriminators, **encoder}, 'G')


# name of the preset that describes the networks -> what fills them from a file, or from a folder whose files `epoch` names
LOADERS = {'cyclegan': load_cyclegan, 'cyclegan-anime': load_anime, 'cut': load_cut, 'fastcut': load_cut, 'stargan': load_stargan,
           'munit': load_munit, 'satnet': load_satnet, 'ugatit': load_ugatit, 'ugatit-enhanced': load_ugatit,
           'pix2pixhd': load_pix2pixhd, 'pix2pixhd-local': load_pix2pixhd}


def load_published(family: Translator, preset: str, source: Path, epoch: str = 'latest') -> None:
    """Fill a family that was built from the preset; WeightsError where there is no way from published files to it, where a file
    is absent, or where it does not fit."""
    if preset not in LOADERS:
        raise WeightsError(f'no published files are known for the preset {preset}; there are some for: {", ".join(LOADERS)}')
    if not source.exists():
        raise WeightsError(f'there is no {source}: name the published file, or the folder of the published run')
    LOADERS[preset](family, source, epoch)
