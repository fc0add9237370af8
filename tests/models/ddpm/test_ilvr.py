"""ILVR with an exact denoiser of Gaussian images, whose samples have a known distribution."""
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
from tests.models.stubs import MeanColorEncoder

SAMPLERS = ('ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc')
STD, SIDE = 0.2, 32


class Gaussian(Denoiser):
    """Exact denoiser of images of independent pixels with standard deviation STD around 0. inputs: (alpha, noisy image) of each
    call."""

    def __init__(self, **declared):
        super().__init__(SIDE, **declared)
        self.alphas, self.inputs = torch.cumprod(1 - betas(self.schedule), 0).float(), []

    def forward(self, image, timestep, condition=None):
        alpha = self.alphas[timestep][:, None, None, None]
        self.inputs.append((float(alpha[0]), image))
        clean = image * alpha.sqrt() * STD ** 2 / (alpha * STD ** 2 + 1 - alpha)
        output = as_prediction(self.prediction, clean, noise_from(clean, image, alpha), alpha)
        return torch.cat([output, -torch.ones_like(output)], 1) if self.learned_sigma else output


def gaussian(count: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * STD


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def low_pass_error(samples: torch.Tensor, reference: torch.Tensor, factor: float = 4) -> float:
    return float((reduced(samples, factor) - reduced(reference, factor)).square().mean().sqrt())


@pytest.mark.parametrize('factor', [4, 5.3])
@pytest.mark.parametrize('steps', [6, 20])
@pytest.mark.parametrize('sampler', SAMPLERS)
def test_samples_match_the_reference_in_the_projection_only(sampler, steps, factor):
    network = Gaussian(schedule='cosine', learned_sigma=sampler == 'ancestral')
    reference = gaussian()
    config = ILVRConfig(sampler=sampler, steps=steps, down=factor)
    samples = refine(network, reference, config, generator=rng())
    # diffusers' DDIM ends at the first noise level, not at none, where the steps do not divide 1000
    assert low_pass_error(samples, reference, factor) < (2e-3 if sampler == 'ddim' and steps == 6 else 1e-4)
    free_samples = refine(network, reference, config, mask=torch.zeros(1, 1, SIDE, SIDE), generator=rng())
    complements = [images - projected(images, factor) for images in (samples, free_samples)]
    torch.testing.assert_close(*complements, atol=1e-4, rtol=0)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_denoiser_inputs_contain_the_reference_at_their_noise_level(sampler):
    network, reference = Gaussian(learned_sigma=sampler == 'ancestral'), gaussian()
    refine(network, reference, ILVRConfig(sampler=sampler, steps=15, down=4), generator=rng())
    fraction = reduced(reference, 4)[0].numel() / reference[0].numel()
    for alpha, noisy in network.inputs:
        noise = projected(noisy - alpha ** 0.5 * reference, 4)
        assert float(noise.square().mean() / fraction) == pytest.approx(1 - alpha, rel=0.15)


@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_parameterizations_give_equal_samples(prediction):
    samples = [refine(Gaussian(prediction=kind), gaussian(), ILVRConfig(sampler='dpm++', steps=10), generator=rng())
             for kind in (prediction, 'sample')]
    torch.testing.assert_close(*samples, atol=1e-3, rtol=0)


def test_20_corrected_steps_are_closer_to_the_reference_than_100_published():
    reference, shared = gaussian(), {'down': 4, 'until': 0}
    baseline = refine(Gaussian(learned_sigma=True), reference, PUBLISHED.model_copy(update=shared), generator=rng())
    for sampler in ('ddim', 'dpm++', 'unipc'):
        result = refine(Gaussian(), reference, ILVRConfig(sampler=sampler, steps=20, **shared), generator=rng())
        assert low_pass_error(result, reference) < 0.3 * low_pass_error(baseline, reference)


def test_unipc_overwrites_a_corrected_noisy_image():
    reference = gaussian()
    config = ILVRConfig(down=4, sampler='unipc', steps=20)
    clean = refine(Gaussian(), reference, config, generator=rng())
    noisy = refine(Gaussian(), reference, config.model_copy(update={'corrects': 'noisy'}), generator=rng())
    assert low_pass_error(noisy, reference) > 50 * low_pass_error(clean, reference)


@pytest.mark.parametrize('begin, until, active_steps',
                         [(1.0, 0.5, range(0, 5)), (0.7, 0.0, range(2, 10)), (0.6, 0.3, range(3, 7))])
def test_correction_applies_between_begin_and_until(begin, until, active_steps):
    reference, steps = gaussian(), []
    hook = corrected(reference, ILVRConfig(down=4, begin=begin, until=until))
    sample(Gaussian(), scheduler('ddim', 'linear'), gaussian(seed=1) / STD, steps=10, clean_hook=hook, callback=steps.append)
    assert [step.index for step in steps if low_pass_error(step.clean, reference) < 1e-4] == list(active_steps)


def test_published_hook_skips_the_last_step_and_those_after_until():
    def unchanged_steps(until: float) -> list[int]:
        hook, unchanged = published(gaussian(), ILVRConfig(corrects='noisy', down=4, until=until)), []

        def recording(x, step):
            after = hook(x, step)
            unchanged.extend([step.count - 1 - step.index] * torch.equal(after, x))
            return after

        sample(Gaussian(), scheduler('ancestral', 'linear'), gaussian(seed=1) / STD, steps=10, hook=recording)
        return unchanged

    assert unchanged_steps(0) == [0] and unchanged_steps(0.3) == [3, 2, 1, 0]


def test_factor_changes_geometrically():
    config = ILVRConfig(down=16, down_last=4, until=0.0, steps=9)
    assert [config.factor(remaining) for remaining in (1, 0.5, 0)] == pytest.approx([16, 8, 4])
    reference, steps = gaussian(), []
    hook = corrected(reference, config)
    samples = sample(Gaussian(), scheduler('unipc', 'linear'), gaussian(seed=1) / STD, steps=9, clean_hook=hook,
                   callback=steps.append)
    assert low_pass_error(samples, reference, 4) < 1e-3
    assert low_pass_error(steps[0].clean, reference, config.factor(8 / 9)) < 1e-4 < low_pass_error(steps[0].clean, reference, 4)


def test_pixels_outside_the_mask_are_unchanged():
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 8:24, 8:24] = 1
    reference = gaussian()
    config = ILVRConfig(down=4, steps=10)
    free_samples = refine(Gaussian(), reference, config, mask=torch.zeros_like(mask), generator=rng())
    samples = refine(Gaussian(), reference, config, mask=mask, generator=rng())
    torch.testing.assert_close(samples * (1 - mask), free_samples * (1 - mask))
    inside = (slice(None), slice(None), slice(3, 5), slice(3, 5))
    assert float((reduced(samples - reference, 4)[inside]).abs().mean()) < 0.3 * float(
        (reduced(free_samples - reference, 4)[inside]).abs().mean())


def test_mixed_references_have_the_weighted_low_pass():
    first, second = gaussian(2)
    samples = mixed(torch.stack([first, second]), [1, 3])
    torch.testing.assert_close(reduced(samples, 4), 0.25 * reduced(first, 4) + 0.75 * reduced(second, 4))
    for weights in ([1], [0, 0], [2, -1]):
        with pytest.raises(ValueError, match='as many weights'):
            mixed(torch.stack([first, second]), weights)


@pytest.mark.parametrize('through', ['denoiser', 'image'])
def test_identity_guidance_raises_the_similarity_and_keeps_the_low_pass(through):
    embed, id_embedding = MeanColorEncoder(), torch.tensor([[0.8, 0.0, 0.6]])
    noise = gaussian(seed=1) / STD

    def id_similarity(strength):
        guided = IdentityGuidance(Gaussian(), embed, id_embedding, strength=strength, through=through)
        return float((embed(sample(guided, scheduler('ddim', 'linear'), noise, steps=20)) * id_embedding).sum(1).mean())

    assert id_similarity(5.0) > id_similarity(0.0) + 0.03
    config = ILVRConfig(down=4, steps=10, id_guidance=1.0, through=through)
    samples = refine(Gaussian(), gaussian(), config, embed=embed, id_embedding=id_embedding, generator=rng())
    assert low_pass_error(samples, gaussian()) < 1e-3
    plain = refine(Gaussian(), gaussian(), config.model_copy(update={'id_guidance': 0.0}), generator=rng())
    assert not torch.equal(samples, plain)


@pytest.mark.parametrize('settings', [{'down': 0.5}, {'until': 0.5, 'begin': 0.2}, {'steps': 0}, {'corrects': 'all'}])
def test_invalid_settings_are_rejected(settings):
    with pytest.raises(ValidationError):
        ILVRConfig(**settings)
