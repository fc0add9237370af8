"""ILVR with a network that is right: the images it knows are Gaussian, so that what a sampler should draw is known."""
import pytest
import torch
from pydantic import ValidationError

from models.ddpm.id_guidance import IdentityGuidance
from models.ddpm.ilvr import PUBLISHED, ILVRConfig, corrected, mixed, published, refine
from models.ddpm.lowpass import projected, reduced
from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import as_prediction, noise_from
from models.ddpm.samplers import sample
from models.ddpm.schedules import betas, scheduler
from tests.models.stubs import MeanColor

SAMPLERS = ('ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc')
SPREAD, SIDE = 0.2, 32


class Gaussian(Denoiser):
    """Images whose pixels are independent with the deviation SPREAD around gray; notes what it was shown at which alpha."""

    def __init__(self, **declared):
        super().__init__(SIDE, **declared)
        self.alphas, self.seen = torch.cumprod(1 - betas(self.schedule), 0).float(), []

    def forward(self, image, timestep, condition=None):
        alpha = self.alphas[timestep][:, None, None, None]
        self.seen.append((float(alpha[0]), image))
        clean = image * alpha.sqrt() * SPREAD ** 2 / (alpha * SPREAD ** 2 + 1 - alpha)
        output = as_prediction(self.prediction, clean, noise_from(clean, image, alpha), alpha)
        return torch.cat([output, -torch.ones_like(output)], 1) if self.learned_sigma else output


def drawn(count: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * SPREAD


def chance() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def gap(found: torch.Tensor, reference: torch.Tensor, factor: float = 4) -> float:
    return float((reduced(found, factor) - reduced(reference, factor)).square().mean().sqrt())


@pytest.mark.parametrize('factor', [4, 5.3])
@pytest.mark.parametrize('steps', [6, 20])
@pytest.mark.parametrize('sampler', SAMPLERS)
def test_every_sampler_keeps_to_the_reference_and_varies_the_rest(sampler, steps, factor):
    network = Gaussian(schedule='cosine', learned_sigma=sampler == 'ancestral')
    reference = drawn()
    config = ILVRConfig(sampler=sampler, steps=steps, down=factor)
    found = refine(network, reference, config, generator=chance())
    # diffusers' DDIM ends at the first noise level, not at none, where the steps do not divide 1000
    assert gap(found, reference, factor) < (2e-3 if sampler == 'ddim' and steps == 6 else 1e-4)
    free = refine(network, reference, config, mask=torch.zeros(1, 1, SIDE, SIDE), generator=chance())
    torch.testing.assert_close(found - projected(found, factor), free - projected(free, factor), atol=1e-4, rtol=0)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_the_network_always_sees_the_reference_at_the_level_it_is_asked_for(sampler):
    network, reference = Gaussian(learned_sigma=sampler == 'ancestral'), drawn()
    refine(network, reference, ILVRConfig(sampler=sampler, steps=15, down=4), generator=chance())
    share = reduced(reference, 4)[0].numel() / reference[0].numel()
    for alpha, noisy in network.seen:
        noise = projected(noisy - alpha ** 0.5 * reference, 4)
        assert float(noise.square().mean() / share) == pytest.approx(1 - alpha, rel=0.15)


@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_every_parametrisation_is_steered_alike(prediction):
    found = [refine(Gaussian(prediction=kind), drawn(), ILVRConfig(sampler='dpm++', steps=10), generator=chance())
             for kind in (prediction, 'sample')]
    torch.testing.assert_close(*found, atol=1e-3, rtol=0)


def test_twenty_evaluations_are_nearer_to_the_reference_than_the_published_hundred():
    reference, shared = drawn(), {'down': 4, 'until': 0}
    authors = refine(Gaussian(learned_sigma=True), reference, PUBLISHED.model_copy(update=shared), generator=chance())
    for sampler in ('ddim', 'dpm++', 'unipc'):
        ours = refine(Gaussian(), reference, ILVRConfig(sampler=sampler, steps=20, **shared), generator=chance())
        assert gap(ours, reference) < 0.3 * gap(authors, reference)


def test_unipc_takes_a_corrected_noisy_image_back():
    """Why the clean image is what is corrected."""
    reference = drawn()
    config = ILVRConfig(down=4, sampler='unipc', steps=20)
    kept = refine(Gaussian(), reference, config, generator=chance())
    lost = refine(Gaussian(), reference, config.model_copy(update={'corrects': 'noisy'}), generator=chance())
    assert gap(lost, reference) > 50 * gap(kept, reference)


@pytest.mark.parametrize('begin, until, acts', [(1.0, 0.5, range(0, 5)), (0.7, 0.0, range(2, 10)), (0.6, 0.3, range(3, 7))])
def test_the_reference_acts_between_begin_and_until(begin, until, acts):
    reference, steps = drawn(), []
    hook = corrected(reference, ILVRConfig(down=4, begin=begin, until=until))
    sample(Gaussian(), scheduler('ddim', 'linear'), drawn(seed=1) / SPREAD, steps=10, clean_hook=hook, callback=steps.append)
    assert [step.index for step in steps if gap(step.clean, reference) < 1e-4] == list(acts)


def test_the_published_hook_leaves_the_last_step_and_the_range_alone():
    def untouched(until: float) -> list[int]:
        hook, alone = published(drawn(), ILVRConfig(corrects='noisy', down=4, until=until)), []

        def watching(x, step):
            after = hook(x, step)
            alone.extend([step.count - 1 - step.index] * torch.equal(after, x))
            return after

        sample(Gaussian(), scheduler('ancestral', 'linear'), drawn(seed=1) / SPREAD, steps=10, hook=watching)
        return alone

    assert untouched(0) == [0] and untouched(0.3) == [3, 2, 1, 0]


def test_the_factor_changes_on_the_way():
    config = ILVRConfig(down=16, down_last=4, until=0.0, steps=9)
    assert [config.factor(left) for left in (1, 0.5, 0)] == pytest.approx([16, 8, 4])
    reference, steps = drawn(), []
    hook = corrected(reference, config)
    found = sample(Gaussian(), scheduler('unipc', 'linear'), drawn(seed=1) / SPREAD, steps=9, clean_hook=hook,
                   callback=steps.append)
    assert gap(found, reference, 4) < 1e-3
    assert gap(steps[0].clean, reference, config.factor(8 / 9)) < 1e-4 < gap(steps[0].clean, reference, 4)


def test_a_mask_leaves_the_other_pixels_alone():
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 8:24, 8:24] = 1
    reference = drawn()
    config = ILVRConfig(down=4, steps=10)
    free = refine(Gaussian(), reference, config, mask=torch.zeros_like(mask), generator=chance())
    found = refine(Gaussian(), reference, config, mask=mask, generator=chance())
    torch.testing.assert_close(found * (1 - mask), free * (1 - mask))
    inside = (slice(None), slice(None), slice(3, 5), slice(3, 5))
    assert float((reduced(found - reference, 4)[inside]).abs().mean()) < 0.3 * float(
        (reduced(free - reference, 4)[inside]).abs().mean())


def test_a_mixture_has_the_weighted_low_pass():
    first, second = drawn(2)
    found = mixed(torch.stack([first, second]), [1, 3])
    torch.testing.assert_close(reduced(found, 4), 0.25 * reduced(first, 4) + 0.75 * reduced(second, 4))
    for weights in ([1], [0, 0], [2, -1]):
        with pytest.raises(ValueError, match='as many weights'):
            mixed(torch.stack([first, second]), weights)


@pytest.mark.parametrize('through', ['denoiser', 'image'])
def test_identity_guidance_leads_to_the_person_and_leaves_the_low_pass(through):
    embed, person = MeanColor(), torch.tensor([[0.8, 0.0, 0.6]])
    noise = drawn(seed=1) / SPREAD

    def id_similarity(strength):
        guided = IdentityGuidance(Gaussian(), embed, person, strength=strength, through=through)
        return float((embed(sample(guided, scheduler('ddim', 'linear'), noise, steps=20)) * person).sum(1).mean())

    assert id_similarity(5.0) > id_similarity(0.0) + 0.03
    config = ILVRConfig(down=4, steps=10, id_guidance=1.0, through=through)
    found = refine(Gaussian(), drawn(), config, embed=embed, identity=person, generator=chance())
    assert gap(found, drawn()) < 1e-3
    plain = refine(Gaussian(), drawn(), config.model_copy(update={'id_guidance': 0.0}), generator=chance())
    assert not torch.equal(found, plain)


@pytest.mark.parametrize('settings', [{'down': 0.5}, {'until': 0.5, 'begin': 0.2}, {'steps': 0}, {'corrects': 'all'}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        ILVRConfig(**settings)
