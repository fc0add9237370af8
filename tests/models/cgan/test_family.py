"""CGAN: losses, generation, errors."""
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from datasets.transforms.joint import mirrored
from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.cgan.family import CGAN, CGANConfig
from models.swap.conditions import identity_mixer
from tests.contract.stubs import ID_DIM, tiny_perception

SIZE = 32
GENERATOR = {'fold': 2, 'widths': (8, 16), 'blocks': 1, 'decoder_blocks': 1, 'id_dim': ID_DIM, 'style': 8, 'skip_width': 8,
       'attention': (8,)}
PATCH = {'kind': 'patch', 'width': 8, 'levels': 2, 'scales': 1, 'norm': 'none', 'value_range': 'signed'}


def build(perception: Perception | None = None, **changes) -> CGAN:
    torch.manual_seed(0)
    config = {'size': SIZE, 'generator': GENERATOR, 'discriminator': PATCH, **changes}
    defaults = CGANConfig().model_dump()
    for part in ('generator', 'discriminator'):
        config[part] = {**(defaults[part] if config[part] in (GENERATOR, PATCH) else {}), **config[part]}
    return CGAN(CGANConfig(**config), perception or tiny_perception())


def weights(**losses: float) -> dict[str, float]:
    return {**dict.fromkeys(CGANConfig().weights, 0.0), 'discriminator': 1.0, **losses}


def build_batch(**fields) -> SwapBatch:
    generator = torch.Generator().manual_seed(1)
    source, target = torch.rand(2, 4, 3, SIZE, SIZE, generator=generator) * 2 - 1
    labels = torch.zeros(4, SIZE, SIZE, dtype=torch.int64)
    labels[:, 8:24, 8:24] = 1
    return SwapBatch(source, target, torch.tensor([True, False, False, False]), target_parsing=labels, **fields)


def test_another_source_changes_the_swap():
    family, batch = build().eval(), build_batch()
    other = SwapBatch(batch.source.flip(0), batch.target, batch.same, batch.target_parsing)
    assert (family.generate(batch) - family.generate(other)).abs().max() > 1e-6


def coarse(image: torch.Tensor) -> torch.Tensor:
    return F.interpolate(image, SIZE // 8, mode='area')


def test_a_mirrored_swap_is_coarsely_the_mean_of_both_orientations(monkeypatch):
    batch, plain, family = build_batch(), build().eval(), build(mirrored=True).eval()
    batch.target_parsing[:, 10:12, 10:13] = PARTS.index('l_eye')
    pairs = [mirrored(image, labels, None)[:2] for image, labels in zip(batch.target, batch.target_parsing)]
    target, labels = map(torch.stack, zip(*pairs))
    upright = plain.generate(batch)
    flipped = plain.generate(replace(batch, target=target, target_parsing=labels)).flip(3)
    forward, calls = family.forward_generator, []
    monkeypatch.setattr(family, 'forward_generator', lambda *inputs: calls.append(inputs) or forward(*inputs))
    swap = family.generate(batch)
    (rendered_target, _, conditions), = calls
    assert torch.equal(rendered_target[4:], target)
    assert torch.equal(conditions.parsing_onehot[4:], family.conditions(target, labels).parsing_onehot)
    error = (coarse(swap) - coarse((upright + flipped) / 2)).abs().mean()
    assert error < 0.2 * (coarse(swap) - coarse(upright)).abs().mean()


def test_a_mirrored_swap_has_the_finest_details_of_the_upright_swap(monkeypatch):
    family = build(mirrored=True).eval()
    both = 0.4 * torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(family, 'forward_generator', lambda *inputs: (both, None))
    swap, upright, flipped = family.generate(build_batch()), both[:4], both[4:].flip(3)

    def details(image: torch.Tensor) -> torch.Tensor:  # correlation of each 8x8 pixels with a checkerboard
        board = (-1.0) ** torch.arange(SIZE)
        return F.avg_pool2d(image * board * board[:, None], 8)

    mean = (upright + flipped) / 2
    assert details(swap - upright).abs().mean() < 0.1 * details(mean - upright).abs().mean()
    assert (coarse(swap) - coarse(mean)).abs().mean() < 0.5 * (coarse(swap) - coarse(upright)).abs().mean()


def test_the_discriminator_reuses_the_swap_of_the_generator():
    family, batch, cache, passes = build(), build_batch(), {}, []
    family.generator.register_forward_hook(lambda *_: passes.append(1))
    family('generator', batch, 0, cache)
    family('discriminator', batch, 0, cache)
    assert len(passes) == 1
    family('discriminator', build_batch(), 0, {})
    assert len(passes) == 2


def test_blended_swaps_are_compared_with_the_mixture_of_their_sources():
    family, batch, embeddings = build(weights=weights(id=1.0), blend=1.0), build_batch(), []
    family.generator.register_forward_hook(lambda network, inputs, output: embeddings.append(inputs[1]))
    source_embedding = family.source_embedding(batch)
    for seed in range(8):
        torch.manual_seed(seed)
        cache = {}
        loss, swap = family('generator', batch, 1, cache)['id'], cache['swap']
        torch.manual_seed(seed)
        mix = identity_mixer(batch, 1.0)
        torch.testing.assert_close(embeddings[-1], mix(source_embedding))
        target_id = mix(family.perception.teacher(batch.source))
        torch.testing.assert_close(loss, (1 - (family.perception.teacher(swap) * target_id).sum(1)).mean())
    mixed = torch.stack(embeddings)
    torch.testing.assert_close(mixed.norm(dim=2), torch.ones(8, 4))
    assert torch.equal(mixed[:, 0], source_embedding[:1].expand(8, -1)), 'pairs of the same identity are not mixed'
    assert all((mixed[:, row] - source_embedding[row]).abs().amax(1).max() > 0.05 for row in (1, 2, 3))
    with torch.no_grad():
        family.eval()('generator', batch, 1, {})
    assert torch.equal(embeddings[-1], source_embedding)


def test_id_encoder_compares_with_the_conditioning_embedding_and_id_drift_pairs_of_different_identities():
    family, batch = build(weights=weights(id_encoder=1.0, id_drift=1.0)), build_batch()
    cache = {}
    losses, swap = family('generator', batch, 1, cache), cache['swap']
    encoder, teacher = family.perception.id_encoder, family.perception.teacher
    torch.testing.assert_close(losses['id_encoder'], (1 - (encoder(swap) * family.source_embedding(batch)).sum(1)).mean())
    difference = (teacher(swap) - teacher(batch.source))[~batch.same]
    pairs = [first @ second for i, first in enumerate(difference) for j, second in enumerate(difference) if i != j]
    torch.testing.assert_close(losses['id_drift'], torch.stack(pairs).mean())
    for loss in ('id_encoder', 'id_drift'):
        gradients = torch.autograd.grad(losses[loss], list(family.generator.parameters()), retain_graph=True, allow_unused=True)
        assert max(float(gradient.abs().max()) for gradient in gradients if gradient is not None) > 0


def test_jitter_changes_the_identity_loss_in_training_only():
    family, batch = build(weights=weights(id=1.0), jitter=0.1), build_batch()

    def values() -> set[float]:
        return {family('generator', batch, 1, {})['id'].item() for _ in range(3)}

    assert len(values()) == 3
    family.eval()
    assert len(values()) == 1


def test_jitter_and_blend_raise_with_incompatible_losses():
    with pytest.raises(ValueError, match='model.jitter=0'):
        build(weights=weights(perceptual=1.0), jitter=0.1)
    with pytest.raises(ValueError, match='model.blend=0'):
        build(weights=weights(classes=1.0), blend=0.5)


class Gray(Family):
    """A trained swapper that returns gray images."""

    task = 'swap'

    def generate(self, batch, *, generator=None):
        assert batch.target_parsing is not None and batch.source_embedding is not None
        return torch.full_like(batch.target, 0.5)


def test_distillation_moves_pairs_of_different_identities_to_the_teachers_swap():
    perception = tiny_perception()
    perception.distillation_teacher = Gray(FamilyConfig(size=SIZE), None)
    family = build(weights=weights(distillation=1.0), perception=perception)
    batch = build_batch()
    with torch.no_grad():
        conditions = family.conditions(batch.target, batch.target_parsing)
        swap, _ = family.forward_generator(batch.target, family.source_embedding(batch), conditions)
    before = (swap[1:] - 0.5).abs().mean()
    torch.testing.assert_close(family('generator', batch, 1, {})['distillation'].detach(), before)
    optimizer = torch.optim.Adam(family.param_groups()['generator'], 1e-2)
    for _ in range(20):
        loss = family('generator', batch, 1, {})['distillation']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.9 * before


def test_a_missing_distillation_teacher_raises_in_training_only_and_one_of_another_size_always():
    perception = tiny_perception()
    family, batch = build(weights=weights(distillation=1.0), perception=perception), build_batch()
    assert torch.isfinite(family.eval().generate(batch)).all()
    with pytest.raises(ValueError, match='needs perception.distillation_teacher'):
        family.train()('generator', batch, 0, {})
    perception.distillation_teacher = Gray(FamilyConfig(size=64), None)
    with pytest.raises(ValueError, match='64 pixels, this family of 32'):
        build(weights=weights(distillation=1.0), perception=perception)


def test_the_published_form_of_the_generator_trains():
    plain = {'widths': (8, 16), 'blocks': 1, 'id_dim': ID_DIM}
    family = build(generator=plain, weights=weights(id=1.0, adversarial=1.0))
    sum(family('generator', build_batch(), 0, {}).values()).backward()
    assert family.generator.BottleNeck[0].style1.linear.weight.grad.abs().max() > 0
    assert family.generate(build_batch()).shape == (4, 3, SIZE, SIZE)


@pytest.mark.parametrize('form', ['cosine', 'hinge', 'distilled'])
def test_each_form_of_the_identity_loss_reaches_the_mapping_network(form):
    family = build(id_loss_form=form, threshold=1.0, weights=weights(id=1.0))
    family('generator', build_batch(), 0, {})['id'].backward()
    assert family.generator.mapping[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize('adversary', ['hinge', 'lsgan', 'vanilla', 'wgan'])
def test_the_discriminator_loss_decreases_with_a_fixed_generator(adversary):
    family, batch = build(adversary=adversary, weights=weights()), build_batch()
    optimizer = torch.optim.Adam(family.param_groups()['discriminator'], 3e-3)
    losses = []
    for step in range(25):
        loss = family('discriminator', batch, step, {})['discriminator']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert family.pop_metrics().keys() == {'real_accuracy', 'fake_accuracy'}


def test_only_the_discriminator_is_clipped():
    family = build(clip=0.01)
    largest = max(value.abs().max() for value in family.generator.parameters())
    family.after_update('generator')
    assert max(value.abs().max() for value in family.discriminator.parameters()) > 0.01
    family.after_update('discriminator')
    assert max(value.abs().max() for value in family.discriminator.parameters()) <= 0.01
    assert max(value.abs().max() for value in family.generator.parameters()) == largest


def test_r1_is_computed_every_lazy_steps():
    family = build(lazy=4, weights=weights(r1=1.0))
    assert [step for step in range(9) if 'r1' in family('discriminator', build_batch(), step, {})] == [0, 4, 8]


@pytest.mark.parametrize(('classes', 'fields', 'message'), [
    (0, {'target_label': torch.arange(4)}, 'no class head'),
    (3, {'target_label': torch.arange(4)}, 'up to 3'),
    (3, {}, 'no labels'),
])
def test_missing_classes_or_labels_raise(classes, fields, message):
    family = build(discriminator={**PATCH, 'classes': classes, 'size': SIZE}, weights=weights(discriminator_classes=1.0))
    with pytest.raises(ValueError, match=f'{message}.*model.discriminator.classes'):
        family('discriminator', build_batch(**fields), 0, {})


def test_the_panel_contains_the_mask():
    family = build(generator={**CGANConfig().generator.model_dump(), **GENERATOR, 'mask': True}).eval()
    mask = family.panel(build_batch())['mask']
    assert mask.shape == (4, 3, SIZE, SIZE) and mask.min() >= -1 and mask.max() <= 1
