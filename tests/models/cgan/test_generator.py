"""Generator of the CGAN. Its published forms are also tested in tests/parity."""
import pytest
import torch
from torch import Tensor

from models.batch import PARTS
from models.blocks.attention import SelfAttention
from models.cgan.generator import PUBLISHED, Generator, GeneratorConfig

SMALL = {'size': 32, 'widths': (8, 16, 24), 'blocks': 1, 'id_dim': 6, 'norm': 'group', 'value_range': 'signed'}
ALL = {
    'fold': 4,
    'size': 64,
    'style': 12,
    'decoder_blocks': 1,
    'attention': (8, 16),
    'pooled': True,
    'spectral': True,
    'condition_channels': len(PARTS),
    'background_image': True,
    'skips': 'background_image',
    'skip_width': 8,
    'mask': True,
    'tanh': False,
}


def build(**changes) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(**{**SMALL, **changes}))


def inputs(config: GeneratorConfig, count: int = 2) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Target, embedding, and the conditions of the config; the background image is the target's left half."""
    random = torch.Generator().manual_seed(1)
    target = torch.rand(count, 3, config.size, config.size, generator=random) * 2 - 1
    embedding = torch.nn.functional.normalize(torch.randn(count, config.id_dim, generator=random))
    conditions = {}
    if config.condition_channels:
        conditions['parsing_onehot'] = torch.rand(count, config.condition_channels, config.size, config.size, generator=random)
    if config.background_image:
        conditions['background_image'] = target * (torch.arange(config.size) < config.size // 2)
    return target, embedding, conditions


@pytest.mark.parametrize(
    'changes',
    [
        {},
        ALL,
        {'norm': 'batch'},
        {'norm': 'instance', 'injection': 'adagn'},
        {'skips': 'target'},
        {'mask': True},
        {'fold': 2, 'widths': (8, 16)},
        {'fold': 8, 'size': 64, 'widths': (16, 16)},
        {'value_range': 'unit'},
        {'value_range': 'imagenet', 'tanh': False},
        {'background_image': True},
        {'condition_channels': 3, 'fold': 4},
        {'spectral': True, 'style': 8},
    ],
    ids=str,
)
def test_each_form_renders_an_image_and_all_parameters_have_gradients(changes):
    generator = build(**changes)
    for attention in generator.attention.values():
        torch.nn.init.ones_(attention.gamma)
    target, embedding, conditions = inputs(generator.config)
    image, mask = generator.swap_and_mask(target, embedding, **conditions)
    assert (mask is not None) == generator.config.mask
    assert image.shape == target.shape and torch.isfinite(image).all()
    if mask is not None:
        assert mask.shape == (2, 1, *target.shape[2:]) and mask.min() > 0 and mask.max() < 1
    (image * torch.randn_like(image)).sum().backward()
    idle = [name for name, value in generator.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    # A bias before a norm that subtracts the mean has no gradient.
    assert all(name.endswith('.bias') for name in idle), idle


@pytest.mark.parametrize('size, fold, levels', [(64, 1, 4), (96, 4, 3), (128, 2, 4), (160, 4, 3), (256, 8, 3)])
def test_common_sizes_fit(size, fold, levels):
    generator = build(size=size, fold=fold, widths=(8,) * (levels - 1) + (16,))
    target, embedding, conditions = inputs(generator.config, 1)
    assert generator.swap(target, embedding, **conditions).shape == target.shape


def test_each_image_depends_on_its_own_embedding_only():
    generator = build().eval()
    target, embedding, _ = inputs(generator.config)
    first = generator.swap(target, embedding)
    second = generator.swap(target, torch.stack([embedding[0], -embedding[1]]))
    torch.testing.assert_close(first[0], second[0])
    assert (first[1] - second[1]).abs().max() > 1e-3


def test_swap_converts_signed_images_to_the_value_range_and_back():
    unit, signed = build(value_range='unit').eval(), build(value_range='signed').eval()
    target, embedding, _ = inputs(unit.config)
    torch.testing.assert_close(unit.swap(target, embedding), 2 * unit((target + 1) / 2, embedding) - 1)
    # An output of tanh is the same image in either range.
    torch.testing.assert_close(unit((target + 1) / 2, embedding) * 2 - 1, signed((target + 1) / 2, embedding))
    linear = build(value_range='imagenet', tanh=False).eval()
    mean, std = (torch.tensor(values)[:, None, None] for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    expected = linear(((target + 1) / 2 - mean) / std, embedding) * std + mean
    torch.testing.assert_close(linear.swap(target, embedding), expected * 2 - 1)


def test_outside_the_mask_is_the_target():
    generator = build(mask=True).eval()
    torch.nn.init.zeros_(generator.last_layer[-1].weight)
    target, embedding, _ = inputs(generator.config)
    bias = generator.last_layer[-1].bias.data
    bias[:3], bias[3] = 0.0, -40.0
    torch.testing.assert_close(generator(target, embedding)[0], target)
    bias[3] = 40.0
    torch.testing.assert_close(generator(target, embedding)[0], torch.zeros_like(target))


def test_the_initial_mask_is_near_1():
    for changes in ({}, {'fold': 4, 'size': 64, 'widths': (16, 16)}):
        generator = build(mask=True, **changes)
        target, embedding, _ = inputs(generator.config)
        assert generator(target, embedding)[1].mean() > 0.7


def test_the_initial_output_is_close_to_the_background_image():
    generator = build(background_image=True, skips='background_image', fold=4, size=64, widths=(16, 16), tanh=False)
    target, embedding, conditions = inputs(generator.config)
    assert (generator(target, embedding, **conditions) - conditions['background_image']).abs().mean() < 0.1


def test_without_target_skips_the_face_passes_through_the_coarsest_map_only():
    target = inputs(GeneratorConfig(**SMALL))[0].requires_grad_()
    for skips, expected in (('none', False), ('target', True)):
        generator = build(skips=skips).eval()
        for module in generator.BottleNeck:
            torch.nn.init.zeros_(module.style2.linear.weight)
        coarse = generator.down2
        coarse.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
        output = generator(target, torch.ones(2, 6))
        grad = torch.autograd.grad(output.sum(), target, allow_unused=True)[0]
        assert (grad is not None and bool(grad.abs().sum() > 0)) == expected


def test_attention_starts_as_the_identity_and_its_pooled_form_has_the_same_shape():
    x = torch.randn(2, 16, 6, 8)
    for pooled in (False, True):
        block = SelfAttention(16, pooled=pooled)
        torch.testing.assert_close(block(x), x, rtol=0, atol=0)
        torch.nn.init.ones_(block.gamma)
        assert block(x).shape == x.shape and (block(x) - x).abs().max() > 1e-3


def test_attention_equals_its_equation():
    block, x = SelfAttention(16, gamma=0.7), torch.randn(2, 16, 4, 5)
    f, g, h = (conv(x).flatten(2) for conv in (block.conv_f, block.conv_g, block.conv_h))
    weights = torch.einsum('bci,bcj->bij', f, g).softmax(2)
    expected = x + 0.7 * torch.einsum('bij,bcj->bci', weights, h).view_as(x)
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_spectral_norm_bounds_inner_convolutions():
    generator = build(**ALL)
    norms = [name for name in generator.state_dict() if name.endswith('weight_orig')]
    assert {name.split('.')[0] for name in norms} == {'down1', 'down2', 'BottleNeck', 'up1', 'up2', 'injected', 'attention'}
    conv = generator.BottleNeck[0].conv1[1]
    x = torch.randn(1, 24, 8, 8)
    for _ in range(30):
        conv(x)
    assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    assert not [name for name in build().state_dict() if name.endswith('weight_orig')]


@pytest.mark.parametrize('changes, message', [
    ({'size': 50}, 'multiple of 4'), ({'widths': (8,)}, 'two widths'), ({'attention': (7,)}, 'attention at 7'),
    ({'widths': (8, 12)}, 'multiples of 8'), ({'widths': (8, 12), 'norm': 'batch', 'injection': 'adagn'}, 'multiples of 8'),
    ({'background_image': True, 'value_range': 'unit'}, 'signed'), ({'value_range': 'imagenet'}, 'tanh'),
    ({'skips': 'background_image'}, 'background_image=true'),
])
def test_an_invalid_config_raises_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        build(**changes)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'changes, conditions', [({'condition_channels': 2}, {}), ({}, {'background_image': torch.zeros(2, 3, 32, 32)})]
)
def test_missing_or_superfluous_conditions_raise(changes, conditions):
    generator = build(**changes)
    target, embedding, _ = inputs(generator.config)
    with pytest.raises(ValueError, match='this generator takes'):
        generator(target, embedding, **conditions)


def test_the_published_forms_have_the_published_number_of_parameters():
    with torch.device('meta'):
        counts = {name: sum(p.numel() for p in Generator(config).parameters()) for name, config in PUBLISHED.items()}
    assert counts == {'simswap-224': 55051779, 'simswap-512': 55079427, 'simswap-224-training': 55051779,
                      'simswap-512-training': 59773443}
