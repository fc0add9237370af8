"""Initialization of a CGAN with weights of another size and another discriminator."""
import pytest
import torch
from safetensors.torch import save_file

from models.cgan.discriminators import PatchConfig
from models.cgan.family import CGAN, CGANConfig
from models.cgan.generator import GeneratorConfig
from models.registry import load_weights

SMALL = dict(fold=2, widths=(8, 16), blocks=1, id_dim=8, norm='group', value_range='signed', tanh=False, condition_channels=1,
             background_image=True, skips='background_image', skip_width=8)


def family(size: int, side: int, width: int = 8) -> CGAN:
    torch.manual_seed(size)
    return CGAN(CGANConfig(size=size, generator=GeneratorConfig(**SMALL, attention=(side,)),
                           discriminator=PatchConfig(width=width, levels=2, scales=1, norm='none')), None)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'small.safetensors'
    save_file(family(32, 8).state_dict(), path)
    return path


def test_weights_initialize_a_larger_image_size(file):
    large = family(64, 16)
    load_weights(large, file)
    small = family(32, 8).state_dict()
    assert torch.equal(large.state_dict()['generator.attention.16.gamma'], small['generator.attention.8.gamma'])
    assert torch.equal(large.state_dict()['generator.first_layer.1.weight'], small['generator.first_layer.1.weight'])
    name = 'discriminator.scales.0.conv2.0.weight'
    assert torch.equal(large.state_dict()[name], small[name])


def test_another_discriminator_keeps_its_own_weights(file):
    other = family(32, 8, width=16)
    before = other.discriminator.state_dict()['scales.0.conv2.0.weight'].clone()
    load_weights(other, file)
    assert torch.equal(other.discriminator.state_dict()['scales.0.conv2.0.weight'], before)
    assert torch.equal(other.generator.state_dict()['first_layer.1.weight'],
                       family(32, 8).generator.state_dict()['first_layer.1.weight'])


def test_another_generator_is_refused(file):
    with pytest.raises(ValueError, match='does not fit the config'):
        load_weights(family(32, 16), file)
