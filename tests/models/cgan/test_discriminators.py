"""Discriminators of the CGAN. The published ones are also tested in tests/parity."""
import pytest
import torch
from pydantic import BaseModel, ValidationError

from models import weights
from models.blocks.spectral import SpectralLayer
from models.cgan.discriminators import DiscriminatorConfig, build_discriminator
from models.perception.features.efficientnet import EfficientNetLite0, SameConv

PATCH = {'kind': 'patch', 'size': 64, 'width': 4, 'levels': 2}
PROJECTED = {'kind': 'projected', 'size': 128, 'pretrained': False}
SAGAN = {'kind': 'sagan', 'size': 32, 'widths': (8, 16, 16), 'attention': (16,)}
KINDS = [PATCH, PROJECTED, SAGAN]


class Holder(BaseModel):
    """A config with a discriminator, as CGANConfig."""

    discriminator: DiscriminatorConfig


def build(settings: dict, **changes):
    torch.manual_seed(0)
    return build_discriminator(Holder(discriminator={**settings, **changes}).discriminator)


def images(settings: dict, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, settings['size'], settings['size'], generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize('settings', KINDS, ids=lambda settings: settings['kind'])
def test_outputs_have_the_documented_shapes_and_gradients(settings):
    discriminator, image = build(settings, classes=5), images(settings).requires_grad_()
    for block in getattr(discriminator, 'attention', []):
        if hasattr(block, 'gamma'):
            torch.nn.init.ones_(block.gamma)
    output = discriminator(image)
    assert output.classes.shape == (2, 5) and all(len(logits) == 2 for logits in output.logits)
    sides = [value.shape[-1] for value in output.features]
    assert sides[0] == max(sides) and len(sides) >= 3
    loss = sum(value.square().mean() for value in (*output.logits, output.classes))
    loss.backward()
    assert image.grad.abs().sum() > 0
    parameters = discriminator.trainable_parameters()
    idle = [name for name, value in discriminator.named_parameters() if value.requires_grad and not value.grad.abs().sum() > 0]
    assert parameters and all(name.endswith('.bias') for name in idle), idle
    assert build(settings)(image).classes is None


def test_the_second_scale_takes_the_pooled_image():
    discriminator = build(PATCH).eval()
    image = images(PATCH)
    half = torch.nn.functional.avg_pool2d((image + 1) / 2, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(discriminator(image).logits[1], discriminator.scales[1](half)[1])
    assert len(discriminator(image).features) == 2 * 3


def test_the_feature_network_is_frozen():
    discriminator = build(PROJECTED)
    before = {name: value.clone() for name, value in discriminator.feature_network.state_dict().items()}
    optimizer = torch.optim.SGD(discriminator.trainable_parameters(), 0.1)
    discriminator.train()
    discriminator(images(PROJECTED)).logits[0].mean().backward()
    optimizer.step()
    after = discriminator.feature_network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items()) and not discriminator.feature_network.training
    assert len(discriminator.trainable_parameters()) == len(list(discriminator.discriminator.parameters()))


def test_same_padding_puts_the_odd_pixel_last():
    conv = SameConv(1, 1, 3, 2)
    torch.nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 0, 0] = 1.0  # copies the top left pixel of its window
    x = torch.arange(36.0).view(1, 1, 6, 6)
    torch.testing.assert_close(conv(x), x[:, :, ::2, ::2])
    assert SameConv(1, 1, 5, 2)(torch.zeros(1, 1, 7, 9)).shape == (1, 1, 4, 5)


def test_pretrained_loads_the_published_feature_weights(tmp_path, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path))
    torch.manual_seed(1)
    state = EfficientNetLite0().state_dict()
    names = {'layer0.0.': 'conv_stem.', 'layer0.1.': 'bn1.', 'layer0.3.': 'blocks.0.', 'layer0.4.': 'blocks.1.',
              'layer1.0.': 'blocks.2.', 'layer2.0.': 'blocks.3.', 'layer2.1.': 'blocks.4.', 'layer3.0.': 'blocks.5.',
              'layer3.1.': 'blocks.6.'}
    published = {names[name[:9]] + name[9:]: value for name, value in state.items()} | {'classifier.weight': torch.zeros(3, 3)}
    torch.save(published, weights.entry('efficientnet-lite0').path)
    filled = build(PROJECTED, pretrained=True).feature_network.pretrained.state_dict()
    assert all(torch.equal(filled[name], value) for name, value in state.items())
    torch.save({'conv_stem.weight': torch.zeros(3)}, weights.entry('efficientnet-lite0').path)
    with pytest.raises(weights.WeightsError, match='holds no EfficientNet-Lite0'):
        build(PROJECTED, pretrained=True)


@pytest.mark.parametrize('size, fold, widths, attention', [
    (64, 1, (8, 8, 16, 16), (32,)), (96, 2, (8, 16, 16), (24,)), (128, 4, (8, 16), (32, 16)), (256, 8, (8, 16, 16), ())])
def test_common_sizes_fit_the_sagan_discriminator(size, fold, widths, attention):
    discriminator = build(SAGAN, size=size, fold=fold, widths=widths, attention=attention)
    assert discriminator(images({'size': size}, 1)).logits[0].shape == (1, 1)


def test_spectral_norm_is_in_every_layer_of_the_sagan_discriminator():
    kinds = torch.nn.Conv2d | torch.nn.Linear | SpectralLayer
    layers = [module for module in build(SAGAN).modules() if isinstance(module, kinds)]
    assert layers and all(hasattr(layer, 'weight_orig') for layer in layers)
    assert not [name for name in build(SAGAN, spectral=False).state_dict() if name.endswith('weight_orig')]
    discriminator = build(PATCH, spectral=True)
    assert [name for name in discriminator.scales[0].state_dict() if name.endswith('_orig')] == ['down2.0.weight_orig',
                                                                                          'conv1.0.weight_orig']


@pytest.mark.parametrize('settings, changes, message', [
    (PATCH, {'size': 20}, 'at least 24 pixels'), (PROJECTED, {'size': 96}, 'at least 128'),
    (SAGAN, {'size': 30}, 'multiple of 4'), (SAGAN, {'attention': (5,)}, 'attention at 5'),
])
def test_an_invalid_config_raises_one_line(settings, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        build(settings, **changes)
    assert '\n' not in str(caught.value)


def test_a_field_of_another_kind_raises():
    with pytest.raises(ValidationError, match='levels'):
        build(SAGAN, levels=3)
