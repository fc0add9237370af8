"""Published diffusion networks in their published formats."""
import json

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import save_file

from models.ddpm.networks.adm import ADMConfig, ADMUNet
from models.ddpm.networks.published import CELEBAHQ_256, PublishedUNet
from models.ddpm.samplers import sample
from models.ddpm.schedules import scheduler
from tests.parity.fixture import Fixture
from tests.parity.registry import NETWORKS

SMALL = {**CELEBAHQ_256, 'sample_size': 32, 'block_out_channels': (32,) * 6, 'layers_per_block': 1}
SETTINGS = {'image_size': 64, 'num_channels': 32, 'num_head_channels': 32}


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return UNet2DModel(**SMALL).eval()


def test_load_pipeline_and_network_folders(network, tmp_path):
    network.save_pretrained(tmp_path / 'bare')
    DDPMPipeline(network, DDPMScheduler(prediction_type='v_prediction', beta_schedule='squaredcos_cap_v2')).save_pretrained(
        tmp_path / 'pipeline')
    bare, whole = (PublishedUNet.load(tmp_path / name) for name in ('bare', 'pipeline'))
    assert (bare.size, bare.prediction, bare.schedule, bare.learned_sigma) == (32, 'epsilon', 'linear', False)
    assert (whole.prediction, whole.schedule) == ('v_prediction', 'cosine')
    image, t = torch.randn(2, 3, 32, 32), torch.tensor([3, 700])
    with torch.no_grad():
        for loaded in (bare, whole):
            torch.testing.assert_close(loaded(image, t), network(image, t).sample)
    generated = sample(bare, scheduler('unipc', bare.schedule), image, steps=2)
    assert generated.shape == image.shape and torch.isfinite(generated).all()


def test_invalid_folder_raises(network, tmp_path):
    with pytest.raises(ValueError, match='holds no UNet2DModel'):
        PublishedUNet.load(tmp_path)
    network.save_pretrained(tmp_path)
    (tmp_path / 'scheduler_config.json').write_text(json.dumps({'beta_schedule': 'scaled_linear'}))
    with pytest.raises(ValueError, match='noise schedule'):
        PublishedUNet.load(tmp_path)


def test_adm_checkpoint_loads_strictly(tmp_path):
    torch.manual_seed(0)
    network = ADMUNet(ADMConfig(**SETTINGS)).eval()
    torch.nn.init.normal_(network.out[2].weight)
    torch.save(network.state_dict(), tmp_path / 'adm.pt')
    loaded = ADMUNet.load(tmp_path / 'adm.pt', ADMConfig(**SETTINGS))
    image, t = torch.randn(1, 3, 64, 64), torch.tensor([500])
    with torch.no_grad():
        assert torch.equal(loaded(image, t), network(image, t))
    state = network.state_dict()
    state.pop('out.2.bias')
    save_file(state, tmp_path / 'less.safetensors')
    with pytest.raises(ValueError, match='does not fit'):
        ADMUNet.load(tmp_path / 'less.safetensors', ADMConfig(**SETTINGS))
    with pytest.raises(ValueError, match='64, 128, 256 or 512'):
        ADMUNet(ADMConfig(image_size=100))


@pytest.mark.slow
def test_adm_of_ffhq_at_full_size(request):
    folder = request.config.rootpath / 'tests/fixtures/parity/ilvr_adm_unet'
    fixture = Fixture.read(folder, 'input', 'fixture_fullsize')
    network = NETWORKS['ilvr_adm_unet'].build(fixture.config).eval()
    network.load_state_dict(fixture.weights())
    with torch.no_grad():
        out = network(fixture.uniform([1, 3, 256, 256]), torch.tensor([500]))
    difference = (out[:, :, ::8, ::8] - fixture.tensor('out')).abs().max()
    assert difference <= 2e-5 * fixture.arrays['out__stats'][2]
