"""Loading of files in the layout of the published MUNIT, SATNet, U-GAT-IT and pix2pixHD."""
import pytest
import torch

from models.translation.munit.family import MUNIT, MUNITConfig
from models.translation.pix2pixhd.family import Pix2PixHD, Pix2PixHDConfig
from models.translation.published import load_published
from models.translation.satnet.family import SATNet, SATNetConfig
from models.translation.ugatit.family import UGATIT, UGATITConfig
from models.weights import WeightsError
from tests.models.translation.test_content_style import TINY as STYLE_TINY
from tests.models.translation.test_pix2pixhd import TINY as LABEL_TINY
from tests.models.translation.test_published import equal, two_families
from tests.models.translation.test_ugatit import TINY as UGATIT_TINY


@pytest.mark.parametrize('preset, kind, config, domains', [('munit', MUNIT, MUNITConfig, 'ab'),
                                                           ('satnet', SATNet, SATNetConfig, 'ba')])
def test_munit_and_satnet_files(tmp_path, preset, kind, config, domains):
    source, loaded = two_families(kind, config(**STYLE_TINY))
    for name, networks in (('gen', source.gen), ('dis', source.dis)):
        for step in ('00000001', '00010000'):
            state = {published: networks[domain].state_dict() for published, domain in zip('ab', domains)}
            torch.save(state, tmp_path / f'{name}_{step}.pt')
    load_published(loaded, preset, tmp_path)
    assert equal(source, loaded)
    _, from_file = two_families(kind, config(**STYLE_TINY))
    load_published(from_file, preset, tmp_path / 'gen_00010000.pt')
    assert equal(source.gen, from_file.gen) and not equal(source.dis, from_file.dis)
    with pytest.raises(WeightsError, match='gen_7.pt'):
        load_published(loaded, preset, tmp_path, '7')


def test_ugatit_file(tmp_path):
    source, loaded = two_families(UGATIT, UGATITConfig(**UGATIT_TINY))
    torch.save({name: network.state_dict() for name, network in source.named_children()}, tmp_path / 'params.pt')
    load_published(loaded, 'ugatit', tmp_path / 'params.pt')
    assert equal(source, loaded)
    _, other = two_families(UGATIT, UGATITConfig(**{**UGATIT_TINY, 'enhanced': True}))
    with pytest.raises(WeightsError, match='does not fit'):
        load_published(other, 'ugatit-enhanced', tmp_path / 'params.pt')


def test_pix2pixhd_files_and_the_global_generator_of_an_enhancer(tmp_path):
    source, loaded = two_families(Pix2PixHD, Pix2PixHDConfig(**LABEL_TINY))
    for name, network in {'G': source.generator, 'D': source.discriminators, 'E': source.encoder}.items():
        torch.save(network.state_dict(), tmp_path / f'latest_net_{name}.pth')
    load_published(loaded, 'pix2pixhd', tmp_path)
    assert equal(source, loaded)
    enhancer = Pix2PixHD(Pix2PixHDConfig(**{**LABEL_TINY, 'width': LABEL_TINY['width'] // 2, 'enhancer': True}), None)
    load_published(enhancer, 'pix2pixhd-local', tmp_path)
    assert torch.equal(enhancer.generator.model[1].weight, source.generator.model[1].weight)
