"""Diffusion family: conditions, sampling, losses."""
from dataclasses import replace

import pytest
import torch

from models.batch import PARTS, SwapBatch
from models.ddpm.family import DDPM, DDPMConfig, Sampling
from models.ddpm.guidance import Guided
from models.ddpm.lowpass import low_pass
from models.ddpm.networks.unet import Condition, heat_maps
from tests.contract.stubs import ID_DIM, tiny_perception

TINY = {'size': 32, 'widths': (16, 24), 'attention': 1, 'tokens': 2, 'id_dim': ID_DIM, 'sampling': {'steps': 4}}
ALL = {'drop_id': 0.0, 'drop_structure': 0.0, 'drop_both': 0.0, 'drop_landmarks': 0.0}


def family(**changes) -> DDPM:
    """DDPM with its zero-initialized layers filled, so that every input affects the output."""
    torch.manual_seed(0)
    ddpm = DDPM(DDPMConfig(**{**TINY, **changes}), tiny_perception())
    for parameter in ddpm.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return ddpm


def batch(size: int = 32) -> SwapBatch:
    """Four swaps whose parsing is skin in the middle and hair around it."""
    labels = torch.full((4, size, size), PARTS.index('hair'))
    labels[:, 10:22, 10:22] = PARTS.index('skin')
    images = torch.rand(2, 4, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    points = torch.tensor([[12.0, 13], [20, 13], [16, 16], [13, 20], [19, 20]]).expand(4, 5, 2)
    return SwapBatch(images[0], images[1], torch.tensor([True, False, True, False]), labels, target_landmarks=points)


def generate(ddpm: DDPM, swaps: SwapBatch, seed: int = 5, **changes):
    sampling = ddpm.config.sampling.model_copy(update=changes)
    return ddpm.generate(swaps, generator=torch.Generator().manual_seed(seed), sampling=sampling)


@pytest.mark.parametrize('changes', [
    lambda swaps: {'source': swaps.source.flip(0)},
    lambda swaps: {'target_landmarks': swaps.target_landmarks + 3},
    lambda swaps: {'target_parsing': swaps.target_parsing.flip(1) * 0 + 1},
], ids=['source', 'landmarks', 'parsing'])
def test_each_condition_changes_the_swap(changes):
    ddpm, swaps = family(), batch()
    other = replace(swaps, **changes(swaps))
    assert (generate(ddpm, swaps, background=False) - generate(ddpm, other, background=False)).abs().max() > 1e-4


def test_only_an_inversion_depends_on_the_targets_face():
    ddpm, swaps = family(), batch()
    hidden = ddpm.dilated_face(torch.isin(swaps.target_parsing, torch.tensor([PARTS.index('skin')])).unsqueeze(1).float())
    edited = replace(swaps, target=torch.where(hidden.bool(), -swaps.target, swaps.target))
    torch.testing.assert_close(generate(ddpm, swaps), generate(ddpm, edited), rtol=0, atol=1e-6)
    assert (generate(ddpm, swaps, inversion=0.5) - generate(ddpm, edited, inversion=0.5)).abs().max() > 1e-3
    assert torch.equal(generate(ddpm, swaps, 1, inversion=0.5), generate(ddpm, swaps, 2, inversion=0.5))


def test_ilvr_keeps_the_coarse_content_until_its_end():
    ddpm, swaps = family(), batch()
    errors = [low_pass(generate(ddpm, swaps, background=False, down=8, until=until) - swaps.target, 8)[..., 8:-8, 8:-8]
              .abs().mean() for until in (0.0, 0.5)]
    plain = low_pass(generate(ddpm, swaps, background=False) - swaps.target, 8)[..., 8:-8, 8:-8].abs().mean()
    assert errors[0] < 0.3 * plain and errors[0] < errors[1]


def test_background_is_replaced_only_if_set():
    ddpm, swaps = family(), batch()
    outside = 1 - ddpm.dilated_face((swaps.target_parsing == PARTS.index('skin')).unsqueeze(1).float())
    errors = [((generate(ddpm, swaps, background=value) - swaps.target).abs() * outside).max() for value in (True, False)]
    assert errors[0] < 1e-5 and errors[1] > 0.1


@pytest.mark.parametrize('sampler', ['ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc'])
def test_each_sampler_generates_swaps(sampler):
    output = generate(family(), batch(), sampler=sampler, eta=0.5)
    assert torch.isfinite(output).all() and output.abs().max() <= 1 and output.std() > 0.05


def test_guidance_extrapolates_the_conditional_prediction():
    ddpm = family()
    x, t = torch.randn(4, 3, 32, 32), torch.tensor([10, 400, 700, 999])
    condition = ddpm.condition(batch())[0]
    with torch.no_grad():
        plain, without = ddpm.denoiser(x, t, condition), ddpm.denoiser(x, t, condition.without_identity())
        guided = without + 3 * (plain - without)
        torch.testing.assert_close(Guided(ddpm.denoiser, 3.0)(x, t, condition), guided, atol=1e-5, rtol=1e-5)
        assert (plain - without).abs().max() > 1e-4
        torch.testing.assert_close(Guided(ddpm.denoiser, 1.0)(x, t, condition), plain)


def test_no_condition_equals_a_condition_of_zeros():
    ddpm = family()
    x, t = torch.randn(2, 3, 32, 32), torch.tensor([10, 900])
    condition = Condition(torch.zeros(2, 3 + len(PARTS) + 5, 32, 32), torch.zeros(2, ID_DIM))
    with torch.no_grad():
        torch.testing.assert_close(ddpm.denoiser(x, t), ddpm.denoiser(x, t, condition))


def test_conditions_are_dropped_at_the_configured_rates():
    ddpm = family(drop_id=0.2, drop_structure=0.1, drop_both=0.3, drop_landmarks=0.5)
    whole = Condition(torch.ones(4000, 27, 2, 2), torch.ones(4000, ID_DIM))
    condition, structure, identity = ddpm.drop_conditions(whole)
    rates = [(~structure & ~identity), (~structure & identity), (structure & ~identity)]
    assert [rate.float().mean().item() for rate in rates] == pytest.approx([0.3, 0.1, 0.2], abs=0.03)
    assert torch.equal(condition.id_embedding.any(1), identity)
    assert torch.equal(condition.structure[:, 0].any(2).any(1), structure)
    heat = condition.structure[:, -1].any(2).any(1)
    assert not (heat & ~structure).any() and heat.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_noise_loss_of_a_swap_excludes_the_face():
    def gradients(same: bool, face: float):
        ddpm, swaps = family(**ALL, weights={'noise': 1.0}), batch()
        labels = torch.full_like(swaps.target_parsing, PARTS.index('skin'))
        torch.manual_seed(1)
        ddpm('denoiser', replace(swaps, same=torch.full((4,), same), target=swaps.target * face, target_parsing=labels),
             0, {})['noise'].backward()
        return sum(p.grad.abs().sum() for p in ddpm.parameters() if p.grad is not None)

    assert gradients(False, 1.0) == 0 < gradients(True, 1.0)


def test_id_loss_trains_the_denoiser_on_swaps_only():
    ddpm, swaps = family(**ALL, weights={'id': 1.0}), batch()
    losses = ddpm('denoiser', swaps, 0, {})
    assert set(losses) == {'id'}
    losses['id'].backward()
    assert ddpm.denoiser.stem.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in ddpm.perception.teacher.parameters())
    unconditional = family(**{**ALL, 'drop_id': 1.0}, weights={'id': 1.0})
    assert unconditional('denoiser', swaps, 0, {})['id'] == 0
    assert ddpm('denoiser', replace(swaps, same=torch.ones(4, dtype=torch.bool)), 0, {})['id'] == 0


def test_id_loss_weight_peaks_between_noise_and_image():
    ddpm, swaps = family(weights={'id': 1.0}), batch()
    is_swap = torch.ones(4, dtype=torch.bool)
    values = [ddpm.id_loss(swaps.target, swaps, ddpm.source_embedding(swaps), torch.full((4, 1, 1, 1), alpha), is_swap).item()
              for alpha in (1e-4, 1 / 3, 0.9999)]
    assert values[1] > 0.1 and max(values[0], values[2]) < 0.01 * values[1]


def test_background_loss_needs_the_structure():
    swaps = batch()
    models = [family(**{**ALL, 'drop_structure': share}, weights={'background': 1.0}) for share in (0.0, 1.0)]
    losses = [model('denoiser', swaps, 0, {})['background'].item() for model in models]
    assert losses[0] > 0 == losses[1]


def test_heat_maps_peak_at_landmarks_and_are_zero_for_nan():
    points = torch.tensor([[[3.0, 9.0], [torch.nan, torch.nan]]])
    maps = heat_maps(points, 16)
    assert maps[0, 0].flatten().argmax() == 9 * 16 + 3 and maps[0, 0].max() == 1
    assert not maps[0, 1].any()


@pytest.mark.parametrize('changes, message', [
    ({'size': 50}, 'multiple of'), ({'drop_both': 0.9, 'drop_id': 0.3}, 'more than 1'),
    ({'weights': {'variational': 1.0}}, 'learned_sigma')])
def test_incompatible_settings_raise(changes, message):
    with pytest.raises(ValueError, match=message):
        family(**changes)


def test_zero_steps_raise():
    with pytest.raises(ValueError, match='steps'):
        Sampling(steps=0)


def test_id_guidance_raises_the_similarity_to_the_source():
    ddpm, swaps = family(), batch()
    source_embedding = ddpm.source_embedding(swaps)
    similarity = [
        (ddpm.perception.id_encoder(generate(ddpm, swaps, id_guidance=strength)) * source_embedding).sum(1).mean()
        for strength in (0.0, 0.5)
    ]
    assert similarity[1] > similarity[0] + 0.01
