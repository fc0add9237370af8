"""CycleGAN: image pool, shared translations, variants."""
import pytest
import torch

from models.translation.cyclegan.family import CycleGAN, CycleGANConfig
from models.translation.image_pool import ImagePool
from tests.models.translation.batches import Calls, pairs

TINY = {'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4, 'discriminator_layers': 2}
ATTENTION = {
    'size': 64,
    'generator': 'attention',
    'discriminator': 'attention',
    'width': 8,
    'discriminator_width': 2,
    'latent': 4,
    'spectral': True,
    'adversary': 'hinge',
}


def cyclegan(**changes) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(CycleGANConfig(**{**TINY, **changes}), None)


def numbered(first: int, count: int) -> torch.Tensor:
    """Images whose constant color is their number."""
    return torch.arange(first, first + count).float()[:, None, None, None].expand(-1, 3, 2, 2)


def test_a_full_pool_returns_a_stored_image_half_of_the_time():
    torch.manual_seed(0)
    pool = ImagePool(3)
    assert torch.equal(pool.exchange(numbered(0, 3)), numbered(0, 3))
    returned = [pool.exchange(numbered(number, 1))[0, 0, 0, 0].item() for number in range(3, 203)]
    stored = sum(value != number for number, value in enumerate(returned, 3))
    assert 70 < stored < 130
    assert all(value <= number for number, value in enumerate(returned, 3))
    assert len(set(returned)) == len(returned), 'an image was returned twice'
    assert len(pool.images) == 3


def test_a_pool_of_size_0_returns_the_new_images():
    pool = ImagePool(0)
    assert torch.equal(pool.exchange(numbered(0, 4)), numbered(0, 4)) and not pool.images


def test_the_state_of_the_pools_can_be_loaded():
    family, other = cyclegan(), cyclegan()
    assert not family.extra_state()
    family('discriminators', pairs(), 0, {})
    other.load_extra_state(family.extra_state())
    for pool, loaded_pool in zip(family.pools.values(), other.pools.values()):
        assert len(loaded_pool.images) == 2 and all(map(torch.equal, pool.images, loaded_pool.images))


def test_validation_does_not_change_the_pools():
    family = cyclegan().eval()
    with torch.no_grad():
        losses = family('discriminators', pairs(), 0, {})
    assert torch.isfinite(losses['discriminator']) and not family.extra_state()


def test_discriminators_reuse_the_translations_of_the_generators_step():
    family = cyclegan(weights={**CycleGANConfig().weights, 'identity_mapping': 0.0})
    calls, batch, cache = Calls(family.a2b), pairs(), {}
    family('generators', batch, 5, cache)
    assert calls.count == 2  # translation and cycle
    family('discriminators', batch, 5, cache)
    assert calls.count == 2
    family('discriminators', batch, 6, {})
    assert calls.count == 3


def test_identity_and_translation_in_one_pass_equal_two_passes():
    family, batch = cyclegan(), pairs()
    losses = family('generators', batch, 0, {})
    expected = (family.a2b(batch.b) - batch.b).abs().mean() + (family.b2a(batch.a) - batch.a).abs().mean()
    torch.testing.assert_close(losses['identity_mapping'], expected, rtol=1e-4, atol=1e-5)
    cycle = (family.b2a(family.a2b(batch.a)) - batch.a).abs().mean() + (family.a2b(family.b2a(batch.b)) - batch.b).abs().mean()
    torch.testing.assert_close(losses['cycle'], cycle, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'changes',
    [
        {'generator': 'unet', 'downs': 4, 'dropout': 0.5, 'adversary': 'vanilla'},
        {'spectral': True, 'adversary': 'hinge'},
        ATTENTION,
        {
            **ATTENTION,
            'attention': False,
            'spectral': False,
            'adversary': 'wgan',
            'weights': {'adversarial': 1.0, 'discriminator': 1.0, 'penalty': 10.0, 'cycle': 250.0},
        },
    ],
)
def test_each_variant_has_gradients_in_both_param_groups(changes):
    family = cyclegan(**changes)
    batch = pairs(size=family.config.size)
    # Layers behind an attention's gamma of 0 have no gradient in the first step.
    without_gradient = {parameter for name, parameter in family.named_parameters()
               if name.split('.')[-2] in ('conv_f', 'conv_g', 'conv_h')}
    for group, parameters in family.param_groups().items():
        trainable = [parameter for parameter in parameters if parameter not in without_gradient]
        objective = sum(family.config.weights[name] * loss for name, loss in family(group, batch, 0, {}).items())
        gradients = torch.autograd.grad(objective, trainable, allow_unused=True)
        assert sum(value is not None and bool(value.abs().max() > 0) for value in gradients) > 0.8 * len(gradients)


def test_weights_are_clipped_only_for_wgan_without_penalty():
    for adversary, penalty, clipped in (('wgan', 0.0, True), ('wgan', 10.0, False), ('lsgan', 0.0, False)):
        family = cyclegan(adversary=adversary, clip=0.001, weights={'discriminator': 1.0, 'penalty': penalty})
        family.after_update('generators')
        assert max(value.abs().max() for value in family.discriminator_a.parameters()) > 0.001
        family.after_update('discriminators')
        for discriminator in (family.discriminator_a, family.discriminator_b):
            assert (max(value.abs().max() for value in discriminator.parameters()) <= 0.001) == clipped


@pytest.mark.parametrize(('changes', 'message'), [
    ({**ATTENTION, 'size': 96}, 'size 64 only'),
    ({'size': 18}, 'multiple of 4'),
    ({'size': 96, 'generator': 'unet'}, 'multiple of 256'),
    ({'discriminator_layers': 3}, 'fewer discriminator_layers'),
])
def test_an_incompatible_size_raises(changes, message):
    with pytest.raises(ValueError, match=message):
        cyclegan(**changes)


def test_an_unsupported_direction_or_reference_raises():
    family, images = cyclegan(), pairs().a
    with pytest.raises(ValueError, match='supported: a2b, b2a'):
        family.translate(images, 'b2b')
    with pytest.raises(ValueError, match='no style'):
        family.translate(images, reference=images)
