"""What the CGAN owes beyond the contract of a family."""
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from datasets.transforms import mirrored
from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.cgan.family import CGAN, CGANConfig
from tests.contract.stubs import IDENTITY, tiny_perception

SIZE = 32
OWN = {'fold': 2, 'widths': (8, 16), 'blocks': 1, 'decoder_blocks': 1, 'id_dim': IDENTITY, 'style': 8, 'skip_width': 8,
       'attention': (8,)}
PATCH = {'kind': 'patch', 'width': 8, 'levels': 2, 'scales': 1, 'norm': 'none', 'value_range': 'signed'}


def build(perception: Perception | None = None, **given) -> CGAN:
    torch.manual_seed(0)
    config = {'size': SIZE, 'generator': OWN, 'discriminator': PATCH, **given}
    defaults = CGANConfig().model_dump()
    for part in ('generator', 'discriminator'):
        config[part] = {**(defaults[part] if config[part] in (OWN, PATCH) else {}), **config[part]}
    return CGAN(CGANConfig(**config), perception or tiny_perception())


def weights(**losses: float) -> dict[str, float]:
    return {**dict.fromkeys(CGANConfig().weights, 0.0), 'discriminator': 1.0, **losses}


def batch(**given) -> SwapBatch:
    draw = torch.Generator().manual_seed(1)
    source, target = torch.rand(2, 4, 3, SIZE, SIZE, generator=draw) * 2 - 1
    labels = torch.zeros(4, SIZE, SIZE, dtype=torch.int64)
    labels[:, 8:24, 8:24] = 1
    return SwapBatch(source, target, torch.tensor([True, False, False, False]), target_parsing=labels, **given)


def test_another_source_changes_the_swap():
    family, given = build().eval(), batch()
    other = SwapBatch(given.source.flip(0), given.target, given.same, given.target_parsing)
    assert (family.generate(given) - family.generate(other)).abs().max() > 1e-6


def coarse(image: torch.Tensor) -> torch.Tensor:
    return F.interpolate(image, SIZE // 8, mode='area')


def test_a_mirrored_swap_is_in_coarse_the_mean_of_both_ways_round(monkeypatch):
    given, usual, family = batch(), build().eval(), build(mirrored=True).eval()
    given.target_parsing[:, 10:12, 10:13] = PARTS.index('l_eye')
    pairs = [mirrored(image, labels, None)[:2] for image, labels in zip(given.target, given.target_parsing)]
    target, labels = map(torch.stack, zip(*pairs))
    one, other = usual.generate(given), usual.generate(replace(given, target=target, target_parsing=labels)).flip(3)
    draw, told = family.draw, []
    monkeypatch.setattr(family, 'draw', lambda *conditions: told.append(conditions) or draw(*conditions))
    swap = family.generate(given)
    for index, wanted in ((0, target), (2, family.conditions(target, labels)[0])):
        assert torch.equal(told[0][index][4:], wanted)
    off = (coarse(swap) - coarse((one + other) / 2)).abs().mean()
    assert off < 0.2 * (coarse(swap) - coarse(one)).abs().mean()


def test_a_mirrored_swap_has_its_finest_details_from_one_way_round(monkeypatch):
    family = build(mirrored=True).eval()
    both = 0.4 * torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(family, 'draw', lambda *given: (both, None))
    swap, one, other = family.generate(batch()), both[:4], both[4:].flip(3)

    def details(image: torch.Tensor) -> torch.Tensor:  # how much of a chessboard each 8x8 pixels hold
        board = (-1.0) ** torch.arange(SIZE)
        return F.avg_pool2d(image * board * board[:, None], 8)

    assert details(swap - one).abs().mean() < 0.1 * details((one + other) / 2 - one).abs().mean()
    off = (coarse(swap) - coarse((one + other) / 2)).abs().mean()
    assert off < 0.5 * (coarse(swap) - coarse(one)).abs().mean()


def test_the_discriminator_judges_what_the_generator_just_drew_without_a_second_drawing():
    family, given, cache, drawn = build(), batch(), {}, []
    family.generator.register_forward_hook(lambda *_: drawn.append(1))
    family('generator', given, 0, cache)
    family('discriminator', given, 0, cache)
    assert len(drawn) == 1
    family('discriminator', batch(), 0, {})
    assert len(drawn) == 2


def test_in_training_swaps_may_be_of_a_mixture_of_two_people_and_are_then_measured_by_it():
    family, given, told = build(weights=weights(id=1.0), blend=1.0), batch(), []
    family.generator.register_forward_hook(lambda network, taken, made: told.append(taken[1]))
    own = family.identities(given)
    for seed in range(8):
        torch.manual_seed(seed)
        cache = {}
        loss, swap = family('generator', given, 1, cache)['id'], cache['swap']
        torch.manual_seed(seed)
        mixture = family.mixture(given)
        torch.testing.assert_close(told[-1], mixture(own))
        wanted = mixture(family.perception.teacher(given.source))
        torch.testing.assert_close(loss, (1 - (family.perception.teacher(swap) * wanted).sum(1)).mean())
    told = torch.stack(told)
    torch.testing.assert_close(told.norm(dim=2), torch.ones(8, 4))
    assert torch.equal(told[:, 0], own[:1].expand(8, -1)), 'who is to be redrawn stays himself'
    assert all((told[:, row] - own[row]).abs().amax(1).max() > 0.05 for row in (1, 2, 3))
    family.eval()
    torch.testing.assert_close(family.mixture(given)(own), own)


def test_the_encoder_is_to_recover_the_identity_that_it_gave_and_drift_looks_at_swaps_of_others_only():
    family, given = build(weights=weights(id_encoder=1.0, id_drift=1.0)), batch()
    cache = {}
    found, swap = family('generator', given, 1, cache), cache['swap']
    encoder, teacher = family.perception.id_encoder, family.perception.teacher
    torch.testing.assert_close(found['id_encoder'], (1 - (encoder(swap) * family.identities(given)).sum(1)).mean())
    apart = (teacher(swap) - teacher(given.source))[~given.same]
    pairs = [first @ second for i, first in enumerate(apart) for j, second in enumerate(apart) if i != j]
    torch.testing.assert_close(found['id_drift'], torch.stack(pairs).mean())
    for loss in ('id_encoder', 'id_drift'):
        slopes = torch.autograd.grad(found[loss], list(family.generator.parameters()), retain_graph=True, allow_unused=True)
        assert max(float(slope.abs().max()) for slope in slopes if slope is not None) > 0


def test_jitter_moves_what_the_teacher_sees_in_training_only():
    family, given = build(weights=weights(id=1.0), jitter=0.1), batch()

    def seen() -> set[float]:
        return {family('generator', given, 1, {})['id'].item() for _ in range(3)}

    assert len(seen()) == 3
    family.eval()
    assert len(seen()) == 1


def test_losses_that_jitter_or_mixtures_would_falsify_are_refused():
    with pytest.raises(ValueError, match='model.jitter=0'):
        build(weights=weights(perceptual=1.0), jitter=0.1)
    with pytest.raises(ValueError, match='model.blend=0'):
        build(weights=weights(classes=1.0), blend=0.5)


class Painted(Family):
    """A trained swapper that paints every face in one color."""

    def generate(self, batch, *, generator=None):
        assert batch.target_parsing is not None and batch.source_embedding is not None  # it looks at nothing twice
        return torch.full_like(batch.target, 0.5)


def test_the_guide_draws_swaps_of_different_people_towards_its_own():
    perception = tiny_perception()
    perception.distillation_teacher = Painted(FamilyConfig(size=SIZE), None)
    family = build(weights=weights(distillation=1.0), perception=perception)
    given = batch()
    with torch.no_grad():
        shape, background_image, _ = family.conditions(given.target, given.target_parsing)
        swap, _ = family.draw(given.target, family.identities(given), shape, background_image)
    before = (swap[1:] - 0.5).abs().mean()
    torch.testing.assert_close(family('generator', given, 1, {})['distillation'].detach(), before)
    step = torch.optim.Adam(family.param_groups()['generator'], 1e-2)
    for _ in range(20):
        loss = family('generator', given, 1, {})['distillation']
        step.zero_grad()
        loss.backward()
        step.step()
    assert loss < 0.9 * before


def test_a_guide_that_is_missing_or_of_another_size_is_named():
    perception = tiny_perception()
    with pytest.raises(ValueError, match='needs perception.distillation_teacher'):
        build(weights=weights(distillation=1.0), perception=perception)
    perception.distillation_teacher = Painted(FamilyConfig(size=64), None)
    with pytest.raises(ValueError, match='64 pixels, this family 32'):
        build(weights=weights(distillation=1.0), perception=perception)


def test_the_published_form_of_the_generator_trains_as_well():
    plain = {'widths': (8, 16), 'blocks': 1, 'id_dim': IDENTITY}
    family = build(generator=plain, weights=weights(id=1.0, adversarial=1.0))
    sum(family('generator', batch(), 0, {}).values()).backward()
    assert family.generator.BottleNeck[0].style1.linear.weight.grad.abs().max() > 0
    assert family.generate(batch()).shape == (4, 3, SIZE, SIZE)


@pytest.mark.parametrize('form', ['cosine', 'hinge', 'distilled'])
def test_every_form_of_the_identity_loss_reaches_the_mapping_of_the_identity(form):
    family = build(id_loss_form=form, threshold=1.0, weights=weights(id=1.0))
    family('generator', batch(), 0, {})['id'].backward()
    assert family.generator.mapping[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize('adversary', ['hinge', 'lsgan', 'vanilla', 'wgan'])
def test_a_discriminator_alone_learns_to_tell_swaps_from_photographs(adversary):
    """Against a generator that stands still every kind of game is soon won; the journal's shares say so."""
    family, given = build(adversary=adversary, weights=weights()), batch()
    optimizer = torch.optim.Adam(family.param_groups()['discriminator'], 3e-3)
    losses = []
    for step in range(25):
        objective = family('discriminator', given, step, {})['discriminator']
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
        losses.append(objective.item())
    assert losses[-1] < losses[0]
    assert family.take_notes().keys() == {'real_right', 'fake_right'}


def test_clipping_holds_the_weights_of_the_discriminator_alone():
    family = build(clip=0.01)
    largest = max(value.abs().max() for value in family.generator.parameters())
    family.after_update('generator')
    assert max(value.abs().max() for value in family.discriminator.parameters()) > 0.01
    family.after_update('discriminator')
    assert max(value.abs().max() for value in family.discriminator.parameters()) <= 0.01
    assert max(value.abs().max() for value in family.generator.parameters()) == largest


def test_r1_is_asked_for_lazily():
    family = build(lazy=4, weights=weights(r1=1.0))
    assert [step for step in range(9) if 'r1' in family('discriminator', batch(), step, {})] == [0, 4, 8]


@pytest.mark.parametrize(('classes', 'given', 'message'), [
    (0, {'target_label': torch.arange(4)}, 'no head'), (3, {'target_label': torch.arange(4)}, 'up to 4'), (3, {}, 'names none'),
])
def test_a_discriminator_that_cannot_name_the_persons_says_what_to_do(classes, given, message):
    family = build(discriminator={**PATCH, 'classes': classes, 'size': SIZE}, weights=weights(discriminator_classes=1.0))
    with pytest.raises(ValueError, match=f'{message}.*model.discriminator.classes'):
        family('discriminator', batch(**given), 0, {})


def test_the_mask_head_is_shown():
    family = build(generator={**CGANConfig().generator.model_dump(), **OWN, 'mask': True}).eval()
    mask = family.panel(batch())['mask']
    assert mask.shape == (4, 3, SIZE, SIZE) and mask.min() >= -1 and mask.max() <= 1
