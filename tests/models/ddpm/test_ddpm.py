"""What the diffusion family promises beyond the contract of a family."""
from dataclasses import replace

import pytest
import torch

from models.batch import PARTS, SwapBatch
from models.ddpm.family import DDPM, DDPMConfig, Sampling
from models.ddpm.guidance import Guided
from models.ddpm.lowpass import low_pass
from models.ddpm.networks.unet import Condition, heat_maps
from tests.contract.stubs import IDENTITY, tiny_perception

TINY = {'size': 32, 'widths': (16, 24), 'attention': 1, 'tokens': 2, 'id_dim': IDENTITY, 'sampling': {'steps': 4}}
ALL = {'drop_id': 0.0, 'drop_structure': 0.0, 'drop_both': 0.0, 'drop_landmarks': 0.0}


def family(**changes) -> DDPM:
    """With the layers that start at zero filled, so that everything that enters can come out."""
    torch.manual_seed(0)
    ddpm = DDPM(DDPMConfig(**{**TINY, **changes}), tiny_perception())
    for parameter in ddpm.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return ddpm


def batch(size: int = 32) -> SwapBatch:
    """Four swaps whose targets show a face (skin) in the middle and hair around it."""
    labels = torch.full((4, size, size), PARTS.index('hair'))
    labels[:, 10:22, 10:22] = PARTS.index('skin')
    images = torch.rand(2, 4, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    points = torch.tensor([[12.0, 13], [20, 13], [16, 16], [13, 20], [19, 20]]).expand(4, 5, 2)
    return SwapBatch(images[0], images[1], torch.tensor([True, False, True, False]), labels, target_landmarks=points)


def draw(ddpm: DDPM, given: SwapBatch, seed: int = 5, **changes):
    sampling = ddpm.config.sampling.model_copy(update=changes)
    return ddpm.generate(given, generator=torch.Generator().manual_seed(seed), sampling=sampling)


@pytest.mark.parametrize('changes', [
    lambda given: {'source': given.source.flip(0)},
    lambda given: {'target_landmarks': given.target_landmarks + 3},
    lambda given: {'target_parsing': given.target_parsing.flip(1) * 0 + 1},
], ids=['source', 'landmarks', 'parsing'])
def test_each_condition_changes_the_swap(changes):
    ddpm, given = family(), batch()
    other = replace(given, **changes(given))
    assert (draw(ddpm, given, background=False) - draw(ddpm, other, background=False)).abs().max() > 1e-4


def test_the_targets_face_is_hidden_from_the_network_but_not_from_an_inversion():
    ddpm, given = family(), batch()
    hidden = ddpm.widened(torch.isin(given.target_parsing, torch.tensor([PARTS.index('skin')])).unsqueeze(1).float())
    repainted = replace(given, target=torch.where(hidden.bool(), -given.target, given.target))
    torch.testing.assert_close(draw(ddpm, given), draw(ddpm, repainted), rtol=0, atol=1e-6)
    assert (draw(ddpm, given, inversion=0.5) - draw(ddpm, repainted, inversion=0.5)).abs().max() > 1e-3
    assert torch.equal(draw(ddpm, given, 1, inversion=0.5), draw(ddpm, given, 2, inversion=0.5)), 'it starts from no noise'


def test_ilvr_keeps_the_targets_coarse_content_until_it_lets_go():
    ddpm, given = family(), batch()
    errors = [low_pass(draw(ddpm, given, background=False, down=8, until=until) - given.target, 8)[..., 8:-8, 8:-8].abs().mean()
              for until in (0.0, 0.5)]
    free = low_pass(draw(ddpm, given, background=False) - given.target, 8)[..., 8:-8, 8:-8].abs().mean()
    assert errors[0] < 0.3 * free and errors[0] < errors[1]


def test_the_background_is_put_back_unless_it_is_to_be_measured():
    ddpm, given = family(), batch()
    outside = 1 - ddpm.widened((given.target_parsing == PARTS.index('skin')).unsqueeze(1).float())
    errors = [((draw(ddpm, given, background=back) - given.target).abs() * outside).max() for back in (True, False)]
    assert errors[0] < 1e-5 and errors[1] > 0.1


@pytest.mark.parametrize('sampler', ['ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc'])
def test_every_sampler_swaps(sampler):
    swaps = draw(family(), batch(), sampler=sampler, eta=0.5)
    assert torch.isfinite(swaps).all() and swaps.abs().max() <= 1 and swaps.std() > 0.05


def test_guidance_goes_beyond_what_the_identity_changes():
    ddpm = family()
    x, t = torch.randn(4, 3, 32, 32), torch.tensor([10, 400, 700, 999])
    told = ddpm.condition(batch())[0]
    with torch.no_grad():
        plain, without = ddpm.denoiser(x, t, told), ddpm.denoiser(x, t, told.anonymous())
        torch.testing.assert_close(Guided(ddpm.denoiser, 3.0)(x, t, told), without + 3 * (plain - without), atol=1e-5, rtol=1e-5)
        assert (plain - without).abs().max() > 1e-4
        torch.testing.assert_close(Guided(ddpm.denoiser, 1.0)(x, t, told), plain)


def test_without_a_condition_the_network_is_the_one_that_was_told_nothing():
    ddpm = family()
    x, t = torch.randn(2, 3, 32, 32), torch.tensor([10, 900])
    told = Condition(torch.zeros(2, 3 + len(PARTS) + 5, 32, 32), torch.zeros(2, IDENTITY))
    with torch.no_grad():
        torch.testing.assert_close(ddpm.denoiser(x, t), ddpm.denoiser(x, t, told))


def test_shares_of_samples_are_told_less():
    ddpm = family(drop_id=0.2, drop_structure=0.1, drop_both=0.3, drop_landmarks=0.5)
    given = Condition(torch.ones(4000, 27, 2, 2), torch.ones(4000, IDENTITY))
    condition, structure, identity = ddpm.told(given)
    shares = [(~structure & ~identity), (~structure & identity), (structure & ~identity)]
    assert [share.float().mean().item() for share in shares] == pytest.approx([0.3, 0.1, 0.2], abs=0.03)
    assert torch.equal(condition.identity.any(1), identity) and torch.equal(condition.structure[:, 0].any(2).any(1), structure)
    heat = condition.structure[:, -1].any(2).any(1)
    assert not (heat & ~structure).any() and heat.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_a_swap_learns_nothing_from_the_targets_face():
    """Not what it was, at least: the noise loss sees only what surrounds the face where another person is to be shown."""
    def gradients(same: bool, face: float):
        ddpm, given = family(**ALL, weights={'noise': 1.0}), batch()
        labels = torch.full_like(given.target_parsing, PARTS.index('skin'))
        torch.manual_seed(1)
        ddpm('denoiser', replace(given, same=torch.full((4,), same), target=given.target * face, target_parsing=labels),
             0)['noise'].backward()
        return sum(p.grad.abs().sum() for p in ddpm.parameters() if p.grad is not None)

    assert gradients(False, 1.0) == 0 < gradients(True, 1.0)


def test_the_identity_loss_reaches_the_network_and_asks_for_the_source():
    ddpm, given = family(**ALL, weights={'id': 1.0}), batch()
    losses = ddpm('denoiser', given, 0)
    assert set(losses) == {'id'}
    losses['id'].backward()
    assert ddpm.denoiser.stem.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in ddpm.perception.teacher.parameters())
    untold = family(**{**ALL, 'drop_id': 1.0}, weights={'id': 1.0})
    assert untold('denoiser', given, 0)['id'] == 0
    assert ddpm('denoiser', replace(given, same=torch.ones(4, dtype=torch.bool)), 0)['id'] == 0


def test_the_identity_loss_is_loudest_between_noise_and_image():
    ddpm, given = family(weights={'id': 1.0}), batch()
    told = torch.ones(4, dtype=torch.bool)
    values = [ddpm.unlikeness(given.target, given, ddpm.identities(given), torch.full((4, 1, 1, 1), alpha), told).item()
              for alpha in (1e-4, 1 / 3, 0.9999)]
    assert values[1] > 0.1 and max(values[0], values[2]) < 0.01 * values[1]


def test_the_background_loss_listens_only_where_the_structure_was_told():
    given = batch()
    losses = [family(**{**ALL, 'drop_structure': share}, weights={'background': 1.0})('denoiser', given, 0)['background'].item()
             for share in (0.0, 1.0)]
    assert losses[0] > 0 == losses[1]


def test_heat_maps_peak_at_the_landmarks_and_are_empty_where_those_are_unknown():
    points = torch.tensor([[[3.0, 9.0], [torch.nan, torch.nan]]])
    maps = heat_maps(points, 16)
    assert maps[0, 0].flatten().argmax() == 9 * 16 + 3 and maps[0, 0].max() == 1
    assert not maps[0, 1].any()


@pytest.mark.parametrize('changes, words', [
    ({'size': 50}, 'multiple of'), ({'drop_both': 0.9, 'drop_id': 0.3}, 'more than 1'),
    ({'weights': {'variational': 1.0}}, 'learned_sigma')])
def test_settings_that_do_not_fit_are_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words):
        family(**changes)


def test_steps_outside_of_the_schedule_are_refused():
    with pytest.raises(ValueError, match='steps'):
        Sampling(steps=0)


def test_a_swap_is_pushed_towards_the_source_in_the_eyes_of_the_encoder():
    ddpm, given = family(), batch()
    told = ddpm.identities(given)
    closeness = [
        (ddpm.perception.id_encoder(draw(ddpm, given, id_guidance=strength)) * told).sum(1).mean() for strength in (0.0, 0.5)
    ]
    assert closeness[1] > closeness[0] + 0.01
