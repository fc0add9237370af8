"""Loading of files in the layout of published checkpoints."""
import pytest
import torch

from models.registry import load_family
from models.translation.cut.family import CUT, CUTConfig
from models.translation.cyclegan.family import CycleGAN, CycleGANConfig
from models.translation.published import load_anime, load_cut, load_cyclegan, load_stargan
from models.translation.stargan.family import StarGAN, StarGANConfig
from models.weights import WeightsError
from scripts.weights import main as weights_script
from tests.models.translation.test_cut import TINY as CUT_TINY
from tests.models.translation.test_cyclegan import ATTENTION, TINY
from tests.models.translation.test_stargan import TINY as STARGAN_TINY


def two_families(kind, config):
    """Two families of one config, with different weights in every network."""
    families = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        families.append(kind(config, None))
    return families


def equal(network, other) -> bool:
    return all(map(torch.equal, network.state_dict().values(), other.state_dict().values()))


def test_cyclegan_files_with_running_statistics(tmp_path):
    source, loaded = two_families(CycleGAN, CycleGANConfig(**TINY))
    networks = {'G_A': source.a2b, 'G_B': source.b2a, 'D_A': source.discriminator_b, 'D_B': source.discriminator_a}
    for name, network in networks.items():
        statistics = {'model.2.running_mean': torch.zeros(4), 'model.2.num_batches_tracked': torch.tensor(7)}
        torch.save({**network.state_dict(), **statistics}, tmp_path / f'latest_net_{name}.pth')
    assert not equal(source, loaded)
    load_cyclegan(loaded, tmp_path)
    assert equal(source, loaded)
    with pytest.raises(WeightsError, match='5_net_G_B.pth'):
        load_cyclegan(loaded, tmp_path, '5')


def test_a_file_of_one_generator_changes_no_other_network(tmp_path):
    source, loaded = two_families(CycleGAN, CycleGANConfig(**TINY))
    torch.save(source.b2a.state_dict(), tmp_path / 'latest_net_G_B.pth')
    load_cyclegan(loaded, tmp_path)
    assert equal(source.b2a, loaded.b2a) and not equal(source.a2b, loaded.a2b)


def test_anime_files_name_the_domains_in_reverse(tmp_path):
    source, loaded = two_families(CycleGAN, CycleGANConfig(**ATTENTION))
    networks = {'netG_A': source.b2a, 'netG_B': source.a2b, 'netD_A': source.discriminator_a, 'netD_B': source.discriminator_b}
    state = {f'{name}.module.{key}': value for name, network in networks.items() for key, value in network.state_dict().items()}
    torch.save({**state, 'criterionGAN.real_label': torch.tensor(1.0)}, tmp_path / 'anime.pth')
    load_anime(loaded, tmp_path / 'anime.pth')
    assert equal(source, loaded)


def test_cut_and_stargan_files(tmp_path):
    source, loaded = two_families(CUT, CUTConfig(**CUT_TINY))
    for name, network in {'G': source.generator, 'F': source.projector, 'D': source.discriminator}.items():
        torch.save(network.state_dict(), tmp_path / f'latest_net_{name}.pth')
    load_cut(loaded, tmp_path)
    assert equal(source, loaded)
    source, loaded = two_families(StarGAN, StarGANConfig(**STARGAN_TINY))
    torch.save({'generator': source.generator.state_dict(), 'mapping_network': source.mapping.state_dict(),
                'style_encoder': source.encoder.state_dict()}, tmp_path / '100000_nets_ema.ckpt')
    load_stargan(loaded, tmp_path / '100000_nets_ema.ckpt')
    assert all(equal(getattr(source, name), getattr(loaded, name)) for name in ('generator', 'mapping', 'encoder'))


def test_conversion_of_a_published_translator_to_a_family_file(tmp_path, capsys):
    source, _ = two_families(CycleGAN, CycleGANConfig(**TINY))
    for name, network in {'G_A': source.a2b, 'G_B': source.b2a}.items():
        torch.save(network.state_dict(), tmp_path / f'200_net_{name}.pth')
    arguments = ['translator', 'cyclegan', str(tmp_path), str(tmp_path / 'family.safetensors'), '--epoch', '200']
    settings = [argument for name, value in TINY.items() for argument in ('--set', f'model.{name}={value}')]
    assert weights_script([*arguments, *settings]) == 0
    loaded = load_family(tmp_path / 'family.safetensors', None)
    assert equal(source.a2b, loaded.a2b) and equal(source.b2a, loaded.b2a)
    assert weights_script([*arguments, *settings, '--set', 'model.blocks=2']) == 2
    assert 'does not fit the network' in capsys.readouterr().err
    assert weights_script(['translator', 'cvae', *arguments[2:4]]) == 2
    assert 'presets with files: cyclegan' in capsys.readouterr().err


@pytest.mark.parametrize('change', [{'model.99.weight': torch.zeros(2)}, {'model.1.weight': torch.zeros(1)}])
def test_an_incompatible_file_raises_and_changes_no_weights(tmp_path, change):
    source, loaded = two_families(CycleGAN, CycleGANConfig(**TINY))
    torch.save({**source.a2b.state_dict(), **change}, tmp_path / 'latest_net_G_A.pth')
    before = loaded.a2b.model[1].weight.clone()
    with pytest.raises(WeightsError, match='differ, such as model'):
        load_cyclegan(loaded, tmp_path)
    assert torch.equal(loaded.a2b.model[1].weight, before)
