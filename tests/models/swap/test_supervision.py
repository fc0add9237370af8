"""Losses against the expected swap of batches that contain one."""
from dataclasses import replace

import pytest
import torch

from models.batch import PARTS
from models.registry import SWAPPERS, build_family
from models.swap.losses import SWAP_LOSSES, swap_losses
from models.swap.reversal import paste_swap, reversed_pairs
from tests.contract.small import small_family
from tests.contract.stubs import ID_DIM, tiny_perception
from tests.models.cgan.test_family import build, build_batch, weights
from tests.models.swap.test_losses import Rendered, perception  # noqa: F401  (a fixture)

AGAINST_REAL = ('reconstruction', 'edges', 'perceptual')
UNSUPERVISED = ('id_drift', 'parsing', 'landmarks', 'shading', 'distillation')


def supervised(swap, rows, truth=None):
    """The swap with an expected swap, by default its own image, in the rows that are True."""
    batch = replace(swap.batch, truth=swap.image.detach().clone() if truth is None else truth,
                    has_truth=torch.tensor(rows), same=torch.zeros(4, dtype=torch.bool))
    return replace(swap, batch=batch)


@pytest.mark.parametrize('name', [*AGAINST_REAL, 'background', 'contrast'])
def test_a_swap_equal_to_the_truth_has_no_loss(name, perception):  # noqa: F811
    swap = supervised(Rendered(perception).swap(), [True] * 4)
    assert swap_losses(swap, {name: 1.0})[name].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('name', ['reconstruction', 'edges'])
def test_rows_without_a_truth_have_no_influence(name, perception):  # noqa: F811
    swap = Rendered(perception).swap()
    one = swap_losses(supervised(swap, [True, False, False, False], swap.batch.target), {name: 1.0})[name]
    other = supervised(swap, [True, False, False, False], torch.cat([swap.batch.target[:1], swap.batch.source[1:]]))
    assert swap_losses(other, {name: 1.0})[name].item() == pytest.approx(one.item(), rel=1e-5)


@pytest.mark.parametrize('name', UNSUPERVISED)
def test_unsupervised_losses_are_zero_where_all_rows_have_a_truth(name, perception):  # noqa: F811
    swap = Rendered(perception).swap()
    assert swap_losses(supervised(swap, [False] * 4), {name: 1.0})[name].abs() > 0
    assert swap_losses(replace(swap, batch=supervised(swap, [True] * 4).batch), {name: 1.0})[name] == 0


def test_a_truth_without_rows_holds_for_the_whole_batch(perception):  # noqa: F811
    batch = Rendered(perception).swap().batch
    assert torch.equal(batch.supervised, batch.same) and batch.real is batch.target
    rendered = replace(batch, truth=batch.source)
    assert rendered.supervised.all() and rendered.real is batch.source


def test_real_label_is_the_source_label_in_rows_with_a_truth(perception):  # noqa: F811
    batch = replace(Rendered(perception).swap().batch, source_label=torch.arange(4), target_label=torch.arange(10, 14),
                    same=torch.zeros(4, dtype=torch.bool))
    assert batch.real_label.tolist() == [10, 11, 12, 13]
    assert replace(batch, truth=batch.source, has_truth=torch.tensor([True, False] * 2)).real_label.tolist() == [0, 11, 2, 13]


@pytest.mark.parametrize('name', SWAPPERS)
def test_losses_of_every_family_depend_on_the_truth(name):
    small = small_family(name)
    torch.manual_seed(0)
    family = build_family(name, small.config.model, tiny_perception(teacher_size=small.config.model['size']))
    batch = next(iter(small.loader()))
    batch = replace(batch, same=torch.zeros_like(batch.same), target_landmarks=None)
    losses = {}
    for title, truth in (('target', batch.target), ('source', batch.source)):
        torch.manual_seed(1)
        group = next(iter(family.param_groups()))
        losses[title] = family(group, replace(batch, truth=truth, has_truth=None), 0, {})
    assert any(not torch.allclose(losses['target'][key], losses['source'][key]) for key in losses['target'])


def test_truth_is_a_real_image_of_the_discriminator():
    family, batch = build(weights=weights(adversarial=1.0)), build_batch()
    inputs, forward = [], family.discriminator.forward
    family.discriminator.forward = lambda images: inputs.append(images) or forward(images)
    batch = replace(batch, truth=batch.source, has_truth=torch.tensor([False, True, True, False]))
    family('discriminator', batch, 0, {})
    assert torch.equal(inputs[0], batch.source)


def test_feature_reconstruction_compares_with_the_truth():
    family = build(weights=weights(feature_reconstruction=1.0)).eval()  # fixed spectral norms
    batch = replace(build_batch(), same=torch.zeros(4, dtype=torch.bool))
    assert family('generator', batch, 0, {})['feature_reconstruction'] == 0
    known = replace(batch, truth=batch.source, has_truth=torch.tensor([True, False, False, False]))
    loss = family('generator', known, 0, {})['feature_reconstruction']
    perfect = replace(known, truth=family.forward_generator(
        batch.target, family.source_embedding(batch), family.conditions(batch.target, family.labels(batch)))[0].detach())
    assert family('generator', perfect, 0, {})['feature_reconstruction'] < 1e-5 < loss


class Inverting:
    """A swapper of 16 pixels whose swap is the inverted target."""

    class config:
        size = 16

    def generate(self, batch):
        assert batch.target.shape[2:] == batch.target_parsing.shape[1:] == (16, 16)
        return -batch.target


def test_pasted_swap_preserves_the_surroundings():
    batch = build_batch()
    labels = torch.zeros(4, 32, 32, dtype=torch.int64)
    labels[:, 12:20, 12:20] = PARTS.index('nose')
    smooth = torch.nn.functional.interpolate(batch.target, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    pasted = paste_swap(Inverting(), replace(batch, target=smooth, target_parsing=labels))
    assert torch.equal(pasted[:, :, :6], smooth[:, :, :6]) and torch.equal(pasted[..., 26:], smooth[..., 26:])
    assert (pasted[:, :, 14:18, 14:18] + smooth[:, :, 14:18, 14:18]).abs().mean() < 0.2


def test_every_loss_is_supervised_unsupervised_or_both():
    assert set(AGAINST_REAL) | set(UNSUPERVISED) | {'id_encoder', 'id', 'background', 'contrast', 'total_variation'} == set(
        SWAP_LOSSES)


@pytest.fixture
def reverser():
    class Swapper(torch.nn.Module):
        """A swapper of 32 pixels whose swap is the source."""

        class config:
            size = 32

        calls = 0

        def generate(self, batch):
            self.calls += 1
            return batch.source
    return Swapper()


def reversible():
    batch = build_batch(source_label=torch.tensor([0, 1, 2, 2]), target_label=torch.tensor([0, 1, 3, 2]))
    return replace(batch, same=torch.tensor([True, True, False, True]), source_embedding=torch.eye(4, ID_DIM))


def test_pair_of_one_identity_is_reversed_with_the_source_of_the_previous_row(reverser):
    batch = reversible()
    pairs = reversed_pairs(batch, reverser, lambda images: torch.full_like(batch.target_parsing, 2), 1.0)
    assert pairs.same.tolist() == [False, False, False, True]  # the last row and the previous one have the same identity
    assert pairs.supervised.tolist() == [True, True, False, True]
    assert torch.equal(pairs.truth, batch.target) and torch.equal(pairs.source, batch.source)
    inside = slice(14, 18)
    assert torch.allclose(pairs.target[0, :, inside, inside], batch.source[3, :, inside, inside], atol=1e-5)
    assert torch.equal(pairs.target[2:], batch.target[2:]) and pairs.target_label.tolist() == [2, 0, 3, 2]
    assert (pairs.target_parsing[:2] == 2).all() and torch.equal(pairs.target_parsing[2:], batch.target_parsing[2:])


@pytest.mark.parametrize('name', SWAPPERS)
def test_every_family_reverses_pairs_in_the_loop_once_per_step(name, reverser):
    small = small_family(name)
    frozen = tiny_perception(teacher_size=small.config.model['size'])
    frozen.reverser = reverser
    reverser.config.size = small.config.model['size']
    family = build_family(name, {**small.config.model, 'reversed': 1.0}, frozen)
    batch = next(iter(small.loader()))
    batch, cache = replace(batch, same=torch.ones_like(batch.same)), {}
    for group in family.param_groups():
        family(group, batch, 0, cache)
    assert reverser.calls == 1 and cache['batch'].truth is batch.target
    family.eval()
    family(next(iter(family.param_groups())), batch, 0, {})
    assert reverser.calls == 1


def test_reversed_pairs_in_the_loop_need_a_swapper_in_training_only():
    family, batch = build(reversed=1.0), build_batch()
    assert torch.isfinite(family.eval().generate(batch)).all()
    with pytest.raises(ValueError, match='needs perception.reverser; name one'):
        family.train()('generator', batch, 0, {})
