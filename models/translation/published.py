"""Strict loading of published checkpoints of translators into the networks of the families.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from models.base import Family
from models.conversion.convert import read_state
from models.translation.content_style.family import ContentStyle
from models.translation.cut.family import CUT
from models.translation.cyclegan.family import CycleGAN
from models.translation.pix2pixhd.family import Pix2PixHD
from models.translation.stargan.family import StarGAN
from models.translation.ugatit.family import UGATIT
from models.weights import WeightsError

_STATISTICS = ('running_mean', 'running_var', 'num_batches_tracked')  # of instance norms in old files, unused


def fill(network: nn.Module, state: dict[str, Tensor], prefix: str = '') -> None:
    """Load the entries of a published state dict whose names begin with `prefix`. Statistics of instance norms are skipped.

    Raises:
        WeightsError: an entry is missing, superfluous or of another shape.
    """
    expected = network.state_dict()
    entries = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    entries = {name: value for name, value in entries.items() if name in expected or not name.endswith(_STATISTICS)}
    different = {name for name, _ in {(name, value.shape) for name, value in expected.items()} ^
                 {(name, value.shape) for name, value in entries.items()}}
    if different:
        raise WeightsError(f'the file does not fit the network: {len(different)} entries differ, such as '
                           f'{prefix}{min(different)}; set the config that the file was trained with')
    network.load_state_dict(entries)


def _fill_from(folder: Path, epoch: str, networks: dict[str, nn.Module], required: str) -> None:
    """Load each network from EPOCH_net_NAME.pth if the file exists.

    Raises:
        WeightsError: the required file is missing.
    """
    if not (folder / f'{epoch}_net_{required}.pth').is_file():
        raise WeightsError(f'{folder} holds no {epoch}_net_{required}.pth: name the folder of a published run and its epoch')
    for name, network in networks.items():
        file = folder / f'{epoch}_net_{name}.pth'
        if file.is_file():
            fill(network, read_state(file))


def load_cyclegan(family: CycleGAN, folder: Path, epoch: str = 'latest') -> None:
    """Networks without a file keep their weights, since most downloads lack the discriminators; one generator is required.

    The published discriminator D_A is trained on images of G_A, and so is that of domain b.
    """
    networks = {'G_A': family.a2b, 'G_B': family.b2a, 'D_A': family.discriminator_b, 'D_B': family.discriminator_a}
    required = 'G_A' if (folder / f'{epoch}_net_G_A.pth').is_file() else 'G_B'
    _fill_from(folder, epoch, networks, required)


def load_anime(family: CycleGAN, file: Path, epoch: str = '') -> None:
    """The published domain A is anime, so that G_A generates photos, domain a of the suite."""
    state = read_state(file)
    networks = {'netG_A': family.b2a, 'netG_B': family.a2b, 'netD_A': family.discriminator_a, 'netD_B': family.discriminator_b}
    for name, network in networks.items():
        fill(network, state, f'{name}.module.')


def load_cut(family: CUT, folder: Path, epoch: str = 'latest') -> None:
    """The files of projector and discriminator are optional."""
    _fill_from(folder, epoch, {'G': family.generator, 'F': family.projector, 'D': family.discriminator}, 'G')


def load_stargan(family: StarGAN, file: Path, epoch: str = '') -> None:
    """The EMA weights of generator, mapping network and style encoder."""
    networks = {'generator': family.generator, 'mapping_network': family.mapping, 'style_encoder': family.encoder}
    for name, network in networks.items():
        fill(network, read_state(file, name))


def load_munit(family: ContentStyle, source: Path, epoch: str = 'latest', domains: str = 'ab') -> None:
    """Generators and, from a folder, discriminators.

    Args:
        source: a file of generators, or a folder of gen_STEP.pt and dis_STEP.pt.
        epoch: a step, or `latest` for the last one.
        domains: domains of the suite that a and b of the files are.
    """
    step = epoch if epoch != 'latest' else '*'
    files = {'gen': [source], 'dis': []} if source.is_file() else {
        kind: sorted(source.glob(f'{kind}_{step}.pt')) for kind in ('gen', 'dis')}
    if not files['gen']:
        raise WeightsError(f'{source} holds no gen_{step}.pt: name the folder of a published run and its step')
    for kind, networks in (('gen', family.gen), ('dis', family.dis)):
        for published, domain in zip('ab', domains):
            if files[kind]:
                fill(networks[domain], read_state(files[kind][-1], published))


def load_satnet(family: ContentStyle, source: Path, epoch: str = 'latest') -> None:
    """The published domain a is drawings, domain b of the suite."""
    load_munit(family, source, epoch, 'ba')


def load_ugatit(family: UGATIT, file: Path, epoch: str = '') -> None:
    """The file holds the state dict of each network under its name."""
    for name, network in family.named_children():
        fill(network, read_state(file, name))


def load_pix2pixhd(family: Pix2PixHD, folder: Path, epoch: str = 'latest') -> None:
    """The weights of a global generator also initialize the global part of a local enhancer."""
    file = folder / f'{epoch}_net_G.pth'
    state = read_state(file) if file.is_file() else {}
    if family.config.enhancer and state and not any(name.startswith('model1_') for name in state):
        global_entries = family.generator.model.state_dict()
        entries = {name: value for name, value in state.items() if name.removeprefix('model.') in global_entries}
        fill(family.generator.model, entries, 'model.')
        return
    encoder = {'E': family.encoder} if family.config.features else {}
    _fill_from(folder, epoch, {'G': family.generator, 'D': family.discriminators, **encoder}, 'G')


# preset -> loader of a file, or of a folder in which `epoch` selects the files
LOADERS: dict[str, Callable[[Any, Path, str], None]] = {
    'cyclegan': load_cyclegan, 'cyclegan-anime': load_anime, 'cut': load_cut, 'fastcut': load_cut, 'stargan': load_stargan,
    'munit': load_munit, 'satnet': load_satnet, 'ugatit': load_ugatit, 'ugatit-enhanced': load_ugatit,
    'pix2pixhd': load_pix2pixhd, 'pix2pixhd-local': load_pix2pixhd}


def load_published(family: Family, preset: str, source: Path, epoch: str = 'latest') -> None:
    """Load published weights into a family that was built from a preset.

    Args:
        preset: a key of LOADERS.
        source: published file, or folder of a published run.
        epoch: epoch or step of the files in a folder.

    Raises:
        WeightsError: the preset has no published files, a file is missing, or it does not fit.
    """
    if preset not in LOADERS:
        raise WeightsError(f'the preset {preset} has no published files; presets with files: {", ".join(LOADERS)}')
    if not source.exists():
        raise WeightsError(f'{source} does not exist: name the published file, or the folder of the published run')
    LOADERS[preset](family, source, epoch)
