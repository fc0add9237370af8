"""MUNIT and SATNet: sampled and reference styles, identity losses."""
import pytest
import torch

from models.batch import PairBatch
from models.translation.munit.family import MUNIT, MUNITConfig
from models.translation.satnet.family import SATNet, SATNetConfig
from tests.contract.stubs import tiny_perception
from tests.models.translation.batches import Calls, has_gradient, pairs

TINY = {
    'size': 16,
    'width': 4,
    'style': 2,
    'hidden': 8,
    'residuals': 1,
    'discriminator_width': 4,
    'discriminator_layers': 2,
    'scales': 2,
}


def munit(**weights) -> MUNIT:
    torch.manual_seed(0)
    return MUNIT(MUNITConfig(**TINY, weights={**MUNITConfig().weights, **weights}), tiny_perception())


def satnet(**options) -> SATNet:
    torch.manual_seed(0)
    weights = {**SATNetConfig().weights, **options.pop('weights', {})}
    return SATNet(SATNetConfig(**{**TINY, **options, 'weights': weights}), tiny_perception())


@pytest.mark.parametrize('build', [munit, satnet])
def test_styles_are_sampled_or_taken_from_references(build):
    model, batch = build().eval(), pairs()
    first, repeated, other = (model.translate(batch.a, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, repeated) and not torch.allclose(first, other, atol=1e-4)
    from_reference = model.translate(batch.a, reference=batch.b)
    assert torch.equal(from_reference, model.translate(batch.a, reference=batch.b))
    assert not torch.allclose(from_reference, model.translate(batch.a, reference=batch.b.flip(0)), atol=1e-5)


def test_discriminators_reuse_the_translations_of_the_generators_step():
    model, batch, cache = munit(), pairs(), {}
    content, decoder = Calls(model.gen['a'].enc_content), Calls(model.gen['a'].dec)
    model('generators', batch, 0, cache)
    assert (content.count, decoder.count) == (2, 2)  # image and translation; reconstruction with translation, and cycle
    model('discriminators', batch, 0, cache)
    assert (content.count, decoder.count) == (2, 2)
    assert model('discriminators', batch, 0, {})['discriminator'] > 0
    assert content.count == 3


def test_losses_of_weight_0_are_not_computed():
    model, batch = munit(cycle=0.0, content=0.0, style=0.0), pairs()
    content, style = Calls(model.gen['a'].enc_content), Calls(model.gen['a'].enc_style)
    model('generators', batch, 0, {})
    assert (content.count, style.count) == (1, 1)


def test_the_perceptual_loss_without_vgg_raises():
    model = munit(perceptual=1.0)
    model.param_groups()
    model.perception.vgg = None
    with pytest.raises(ValueError, match='perception.vgg'):
        model.param_groups()


def test_the_hinge_is_0_above_the_threshold():
    model, batch = satnet(threshold=-1.1), pairs()
    assert model('generators', batch, 0, {})['id'] == 0
    model = satnet(threshold=1.1)
    model('generators', batch, 0, {})['id'].backward()
    assert has_gradient(model.gen['b'].dec) and has_gradient(model.gen['a'].enc_content) and has_gradient(model.gen['a'].dec)


@pytest.mark.parametrize('form', ['distance', 'distilled'])
def test_the_other_forms_of_the_identity_loss_have_gradients(form):
    model = satnet(id_loss_form=form)
    loss = model('generators', pairs(4), 0, {})['id']
    loss.backward()
    assert loss > 0 and has_gradient(model.gen['b'].dec)


def test_only_pairs_of_one_identity_are_supervised():
    model, batch = satnet(weights={'supervised': 1.0}), pairs()
    different = PairBatch(batch.a, batch.b, batch.paired, torch.tensor([0, 1]), torch.tensor([2, 3]))
    partly_same = PairBatch(batch.a, batch.b, batch.paired, torch.tensor([0, 1]), torch.tensor([0, 3]))
    assert model('generators', different, 0, {})['supervised'] == 0
    assert model('generators', partly_same, 0, {})['supervised'] > 0
    assert model('generators', PairBatch(batch.a, batch.b, ~batch.paired), 0, {})['supervised'] > 0


def test_a_size_not_divisible_by_the_scales_raises():
    with pytest.raises(ValueError, match='multiple of 4'):
        MUNIT(MUNITConfig(**{**TINY, 'size': 18}), None)
