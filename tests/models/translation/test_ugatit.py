"""U-GAT-IT and the options of its enhanced version."""
import pytest
import torch
import torch.nn.functional as F

from models.blocks.norms import AdaLIN, layer_instance_norm
from models.losses.smoothness import total_variation
from models.translation.edge_smoothing import blur_edges
from models.translation.head_region import erode, head_region
from models.translation.ugatit.cam import cam_attention
from models.translation.ugatit.family import UGATIT, UGATITConfig
from tests.contract.stubs import tiny_perception
from tests.models.translation.batches import Calls, pairs

TINY = {'size': 16, 'width': 4, 'discriminator_width': 4, 'blocks': 1, 'global_layers': 4, 'local_layers': 3}


class HalfHead(torch.nn.Module):
    """A parser of skin in the left half of every image and background in the right half."""

    def forward(self, images):
        logits = torch.full((len(images), 19, *images.shape[2:]), -20.0)
        logits[:, 1, :, :8] = 20.0
        logits[:, 0, :, 8:] = 20.0
        return logits


def family(**options) -> UGATIT:
    torch.manual_seed(0)
    weights = {**UGATITConfig().weights, **options.pop('weights', {})}
    perception = tiny_perception()
    perception.parser = HalfHead()
    return UGATIT(UGATITConfig(**{**TINY, **options, 'weights': weights}), perception)


def test_layer_instance_norm_equals_the_mixture_of_both_norms():
    x, rho = torch.randn(2, 5, 6, 7) * 3 + 1, torch.rand(1, 5, 1, 1)
    scale, shift = torch.randn(2, 2, 5, 1, 1)
    inner = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()
    whole = (x - x.mean((1, 2, 3), keepdim=True)) / (x.var((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    expected = (rho * inner + (1 - rho) * whole) * scale + shift
    torch.testing.assert_close(layer_instance_norm(x, rho, scale, shift), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('weighted', [True, False])
def test_cam_attention_equals_that_of_the_concatenated_maps(weighted):
    ema, largest, merge = torch.nn.Linear(6, 1), torch.nn.Linear(6, 1, bias=False), torch.nn.Conv2d(12, 6, 1)
    x = torch.randn(2, 6, 4, 4)
    first, second = (ema.weight + ema.bias, largest.weight) if weighted else (torch.ones(1, 6),) * 2
    expected = merge(torch.cat([x * first[:, :, None, None], x * second[:, :, None, None]], 1))
    torch.testing.assert_close(cam_attention(x, ema, largest, merge, weighted=weighted), expected, atol=1e-5, rtol=1e-5)


def test_translations_are_computed_once_per_step():
    model, batch, cache = family(), pairs(), {}
    calls = [Calls(model.genA2B), Calls(model.genB2A)]
    model('generators', batch, 0, cache)
    assert [counter.count for counter in calls] == [2, 2]  # translation (with the identity pass) and cycle
    model('discriminators', batch, 0, cache)
    assert [counter.count for counter in calls] == [2, 2]
    model('discriminators', batch, 1, {})
    assert [counter.count for counter in calls] == [3, 3]


def test_rho_stays_between_its_limits():
    model = family(rho_limit=0.9)
    norms = [module for module in model.modules() if hasattr(module, 'rho')]
    for module in norms:
        module.rho.data.fill_(2.0)
    model.after_update('discriminators')
    assert all(module.rho.max() == 2 for module in norms)
    model.after_update('generators')
    for module in norms:
        assert module.rho.max().item() == pytest.approx(0.9 if isinstance(module, AdaLIN) else 1.0)


def test_a_detached_background_has_no_adversarial_gradient():
    for detached in (False, True):
        model = family(detached_background=detached)
        images = []
        model.genA2B.register_forward_hook(lambda module, args, output, images=images: images.append(output.image))
        loss = model.generator_losses(pairs(), {})['adversarial_a2b']
        gradient = torch.autograd.grad(loss, images[0])[0][:2]
        assert gradient[..., :8].abs().max() > 0
        assert bool(gradient[..., 8:].abs().max() == 0) is detached


def test_a_masked_discriminator_has_no_loss_outside_the_head():
    model = family(masked_discriminator=True, discriminator_cam=0.0)
    image, empty_mask, full_mask = torch.rand(2, 3, 16, 16), torch.zeros(2, 1, 16, 16), torch.ones(2, 1, 16, 16)
    assert model.least_squares('B', [(image, empty_mask, 1.0)]) == 0
    assert model.least_squares('B', [(image, full_mask, 1.0)]) > 0


@pytest.mark.parametrize('cam_input', ['image', 'map', 'both'])
def test_the_background_is_no_input_of_the_classifiers(cam_input):
    model = family(cam_input=cam_input).eval()
    discriminator, image, head = model.disGB, torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    logits = []
    discriminator.register_forward_hook(lambda module, args, output: logits.append(output[1]))
    model.least_squares('B', [(image, head, 1.0)])
    model.least_squares('B', [(image.flip(2), head, 1.0)])
    assert torch.equal(logits[0], logits[1])  # the images differ in the background only
    model.config.__dict__['cam_input'] = 'whole'
    model.least_squares('B', [(image, head, 1.0)])
    assert not torch.allclose(logits[0], logits[2])


def test_background_and_variation_are_restricted_to_their_regions():
    model, batch = family(weights={'background': 1.0, 'variation': 1.0}), pairs()
    losses = model.generator_losses(batch, {})
    assert losses['background'] > 0 and losses['variation'] > 0
    rough = torch.zeros(1, 3, 16, 16)
    rough[..., ::2] = 1
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    smooth_left = torch.where(left > 0, 0.0, rough)
    assert total_variation(smooth_left, inside=left) == 0
    assert 0 < total_variation(rough, inside=left) < total_variation(rough)


def test_blurred_negatives_add_a_loss():
    plain, extended, batch = family(), family(blurred_negatives=True), pairs()
    extended.load_state_dict(plain.state_dict())
    difference = (
        extended.eval()('discriminators', batch, 0, {})['discriminator_a2b']
        - plain.eval()('discriminators', batch, 0, {})['discriminator_a2b']
    )
    extra = plain.least_squares('B', [(blur_edges(batch.b), None, 0.0)])
    torch.testing.assert_close(difference, extra, rtol=1e-3, atol=0)


def test_edges_are_blurred_and_the_rest_is_not():
    image = torch.full((1, 3, 32, 32), -1.0)
    image[..., 16:] = 1
    smooth = blur_edges(image)
    assert torch.equal(smooth[..., :10], image[..., :10]) and torch.equal(smooth[..., 22:], image[..., 22:])
    assert -0.9 < smooth[..., 15].mean() < smooth[..., 16].mean() < 0.9


def test_masks_without_a_parser_raise():
    model = family(masked_discriminator=True)
    model.perception.parser = None
    with pytest.raises(ValueError, match='perception.parser'):
        model.param_groups()


def test_the_head_region_is_soft_or_hard_and_excludes_glasses_and_mouth():
    logits = torch.full((1, 19, 20, 20), -20.0)
    logits[:, 1] = 20.0
    logits[:, :, :, 10:] = 0.0
    logits[:, 0, :, 10:] = 18 ** 0.5  # background: a probability of about 0.79 where the head has 0.16
    assert torch.equal(head_region(logits).amax((0, 1, 2))[[0, 19]], torch.tensor([1.0, 0.0]))
    even = torch.zeros(1, 19, 8, 8)
    even[:, 0] = torch.tensor(14.0).log() + 0.1  # background slightly more likely than the 14 parts of the head
    soft, hard = head_region(even), head_region(even, hard=True)
    assert 0.3 < soft.mean() < 0.5 and hard.max() == 0
    mouth = torch.full((1, 19, 20, 20), -20.0)
    mouth[:, 1] = 20.0
    mouth[:, 1, 8:12, 8:12], mouth[:, 10, 8:12, 8:12] = -20.0, 20.0
    assert head_region(mouth).min() == 1
    assert head_region(mouth, without_glasses_and_mouth=True)[0, 0, 9, 9] == 0
    disc = F.pad(torch.ones(1, 1, 6, 6), (7, 7, 7, 7))
    assert erode(disc).sum() == 4 and erode(erode(disc)).sum() == 0


@pytest.mark.parametrize(
    'options',
    [
        {'pooled': 0},
        {'enhanced': True, 'squeeze': True, 'masks': 3},
        {'transposed': True, 'sn': False},
        {'discriminator_attention': False, 'discriminator_cam': 0.0, 'hard_edge': True, 'masked_discriminator': True},
    ],
)
def test_each_variant_trains_and_has_heat_maps(options):
    model, batch = family(**options), pairs()
    for group in model.param_groups():
        sum(model(group, batch, 0, {}).values()).backward()
    with torch.no_grad():
        panel = model.eval().panel(batch)
    assert {'a', 'a2b', 'heat a', 'b', 'b2a', 'heat b'} <= set(panel)
    assert ('mask a' in panel) is bool(options.get('masks'))
    assert all(image.abs().max() <= 1 and image.shape == batch.a.shape for image in panel.values())


def test_a_one_way_family_translates_a2b_only_and_cannot_be_trained():
    both_ways, one_way = family().eval(), family(one_way=True).eval()
    one_way.load_state_dict({name: value for name, value in both_ways.state_dict().items() if name.startswith('genA2B.')})
    batch = pairs()
    assert torch.equal(one_way.translate(batch.a), both_ways.translate(batch.a))
    assert set(one_way.panel(batch)) == {'a', 'a2b', 'heat a'}
    with pytest.raises(ValueError, match='does not translate b2a; supported: a2b'):
        one_way.translate(batch.b, 'b2a')
    with pytest.raises(ValueError, match='cannot be trained'):
        one_way.param_groups()


@pytest.mark.parametrize('size', [8, 18])
def test_an_incompatible_size_raises(size):
    with pytest.raises(ValueError, match='multiple of 4 from 12 on'):
        family(size=size)


def test_the_smallest_size_can_be_discriminated():
    assert family(size=12).disGA(torch.zeros(1, 3, 12, 12))[0].shape == (1, 1, 1, 1)
