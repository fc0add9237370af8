"""StarGAN v2: latent and reference steps, styles, learning rate of the mapping network."""
import pytest
import torch

from configs.schema import OptimizerConfig
from experiments.training.optimization.optimizers import build_optimizer_groups
from models.translation.stargan.family import StarGAN, StarGANConfig
from tests.contract.stubs import tiny_perception
from tests.models.translation.batches import has_gradient, pairs

TINY = {'size': 32, 'width': 8, 'cap': 8, 'style': 4, 'latent': 4, 'mapping': 8}


def stargan(**changes) -> StarGAN:
    torch.manual_seed(0)
    return StarGAN(StarGANConfig(**{**TINY, **changes}), tiny_perception())


def test_latent_steps_train_all_networks_and_reference_steps_the_generator_only():
    for step, trains_all in ((0, True), (1, False)):
        family = stargan()
        sum(family('generator', pairs(size=32), step, {}).values()).backward()
        assert has_gradient(family.generator)
        assert has_gradient(family.mapping) == has_gradient(family.encoder) == trains_all
        assert all(parameter.requires_grad for parameter in family.encoder.parameters())


def test_the_diversity_loss_is_negative_and_decays():
    family, batch = stargan(fade=100), pairs(size=32)
    torch.manual_seed(1)
    full = family('generator', batch, 0, {})['diversity']
    torch.manual_seed(1)
    half = family('generator', batch, 50, {})['diversity']
    assert full < 0 and half.item() == pytest.approx(full.item() / 2, rel=1e-4)
    assert family('generator', batch, 100, {})['diversity'] == 0


def test_the_style_is_that_of_the_reference():
    family, batch = stargan().eval(), pairs(size=32)
    styled_first, styled_second = (family.translate(batch.a, reference=reference[None]) for reference in batch.b)
    assert styled_first.shape == batch.a.shape and not torch.equal(styled_first, styled_second)
    assert torch.equal(styled_first, family.translate(batch.a, reference=batch.b[:1]))
    translations = family.translate(batch.a, reference=batch.b)
    torch.testing.assert_close(translations[1], styled_second[1])


def test_the_mapping_network_has_its_own_learning_rate():
    """The first update of Adam changes every weight by its learning rate."""
    family = stargan(mapping_lr_scale=0.01)
    group = build_optimizer_groups(family, {'default': OptimizerConfig(name='adam', lr=1e-3)})[0]
    weights = family.mapping.shared[0].weight, family.generator.from_rgb.weight
    before = [weight.detach().clone() for weight in weights]
    group.set_lr(2e-3)
    sum(family('generator', pairs(size=32), 0, {}).values()).backward()
    group.optimizer.step()
    scaled, unscaled = ((weight - previous).abs().max().item() for weight, previous in zip(weights, before))
    assert scaled == pytest.approx(2e-5, rel=0.02) and unscaled == pytest.approx(2e-3, rel=0.02)


def test_the_high_pass_skip_connections_depend_on_their_masks():
    """Masks of 1 change the translation; masks of 0 and no masks are equal."""
    family, images = stargan(high_pass=1.0).eval(), pairs(size=32).a
    masks = family.masks(images)
    assert [mask.shape for mask in masks] == [(2, 1, 32, 32)] * 2 and masks[0].mean() > masks[1].mean()
    style = family.sample_style(torch.tensor([1, 1]))
    without = family.generator(images, style)
    with_zero_masks = family.generator(images, style, tuple(torch.zeros_like(mask) for mask in masks))
    torch.testing.assert_close(with_zero_masks, without)
    with_masks_of_ones = family.generator(images, style, tuple(torch.ones_like(mask) for mask in masks))
    assert (with_masks_of_ones - without).abs().max() > 1e-3


def test_an_incompatible_size_raises():
    for size in (16, 96):
        with pytest.raises(ValueError, match='power of 2 from 32 on'):
            stargan(size=size)
