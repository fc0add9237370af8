"""Samplers with an oracle denoiser, in every parameterization."""
import numpy as np
import pytest
import torch

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import as_prediction, clean_from, noise_from, noised
from models.ddpm.samplers import chained, invert, sample
from models.ddpm.schedules import Ancestral, betas, scheduler, spaced

SAMPLERS = ('ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc')


class Oracle(Denoiser):
    """Denoiser that always predicts `images`. timesteps: those of its calls."""

    def __init__(self, images: torch.Tensor, **declared):
        super().__init__(images.shape[-1], **declared)
        self.images, self.timesteps = images, []
        self.alphas = torch.cumprod(1 - betas(self.schedule), 0).float()

    def forward(self, image, timestep, condition=None):
        self.timesteps.append(int(timestep[0]))
        alpha = self.alphas[timestep][:, None, None, None]
        output = as_prediction(self.prediction, self.images, noise_from(self.images, image, alpha), alpha)
        return torch.cat([output, torch.zeros_like(output)], 1) if self.learned_sigma else output


@pytest.fixture
def images():
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9


def noise(seed: int = 1):
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_parameterizations_invert_each_other(images, prediction):
    for alpha in (0.9, 0.1, torch.tensor([0.7, 0.2])[:, None, None, None]):
        noisy = noised(images, noise(), alpha)
        output = as_prediction(prediction, images, noise(), alpha)
        torch.testing.assert_close(clean_from(prediction, output, noisy, alpha), images, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(noise_from(images, noisy, alpha), noise(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_samplers_converge_to_the_oracles_images(images, sampler, prediction, schedule):
    network = Oracle(images, prediction=prediction, schedule=schedule, learned_sigma=sampler == 'ancestral')
    steps = []
    samples = sample(network, scheduler(sampler, schedule), noise(), steps=12, callback=steps.append,
                   generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(samples, images, atol=0.02, rtol=0)
    assert len(network.timesteps) == 12 and network.timesteps == [step.t for step in steps]
    assert [step.index for step in steps] == list(range(12)) and {step.count for step in steps} == {12}
    assert [step.t_prev for step in steps] == [*network.timesteps[1:], -1] and steps[-1].alpha_prev == 1
    for step in steps:
        torch.testing.assert_close(noised(step.clean, step.noise, step.alpha), step.noisy, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_hook_changes_the_last_step_too(images, sampler):
    levels = []

    def black(x, step):
        levels.append(step.alpha_prev)
        return noised(torch.full_like(x, -1), step.noise, step.alpha_prev)

    arguments = Oracle(images), scheduler(sampler, 'linear'), noise()
    hooked = sample(*arguments, steps=6, hook=chained(black, lambda x, step: x + (step.t_prev == -1)))
    torch.testing.assert_close(hooked, torch.zeros_like(hooked), atol=1e-5, rtol=0)
    assert levels == sorted(levels) and len(levels) == 6


def test_ddim_is_deterministic_until_eta_adds_noise(images):
    class Halved(Oracle):
        def forward(self, image, timestep, condition=None):
            return 0.5 * super().forward(image, timestep, condition)

    def generate(seed, eta):
        return sample(Halved(images), scheduler('ddim', 'linear'), noise(), steps=5, eta=eta,
                      generator=torch.Generator().manual_seed(seed))

    assert torch.equal(generate(1, 0.0), generate(2, 0.0))
    assert torch.equal(generate(1, 1.0), generate(1, 1.0)) and not torch.equal(generate(1, 1.0), generate(2, 1.0))


def test_inversion_reconstructs_the_image(images):
    """With the exact denoiser of N(0, 0.25), whose trajectories depend on the start."""
    class Gray(Denoiser):
        def forward(self, image, timestep, condition=None):
            alpha = torch.cumprod(1 - betas('linear'), 0).float()[timestep][:, None, None, None]
            return alpha.sqrt() * 0.25 * image / (0.25 * alpha + 1 - alpha)  # the mean of x0 where images are N(0, 0.25)

    network = Gray(8, prediction='sample')
    for start in (0, 30):
        levels = scheduler('ddim', 'linear')
        inverted = invert(network, levels, images / 2, steps=100, start=start)
        assert (inverted - images / 2).abs().max() > 0.3
        reconstructed = sample(network, levels, inverted, steps=100, start=start, clip=False)
        torch.testing.assert_close(reconstructed, images / 2, atol=0.03, rtol=0)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_start_skips_the_first_steps(images, sampler):
    network, levels = Oracle(images), scheduler(sampler, 'linear')
    samples = sample(network, levels, noised(images, noise(), 0.5), steps=10, start=6)
    assert len(network.timesteps) == 4
    torch.testing.assert_close(samples, images, atol=0.02, rtol=0)


def test_ancestral_sampler_respaces_as_published(images):
    network, levels = Oracle(images, learned_sigma=True), Ancestral('linear')
    sample(network, levels, noise(), steps='10')
    assert network.timesteps == [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]
    sample(network, levels, noise(), steps='ddim25')
    assert network.timesteps[10:] == list(range(960, -1, -40))


@pytest.mark.parametrize('kept', ['ddim700', '400,700,200', '0'])
def test_invalid_respacing_raises(kept):
    with pytest.raises(ValueError, match='kept|keeps'):
        spaced(1000, kept)


def test_learned_sigma_scales_the_noise_of_an_ancestral_step(images):
    class FixedSigma(Oracle):
        fraction = -1.0

        def forward(self, image, timestep, condition=None):
            output, _ = super().forward(image, timestep, condition).chunk(2, 1)
            return torch.cat([output, torch.full_like(output, self.fraction)], 1)

    deviations = []
    for fraction in (-1.0, 1.0):
        network, inputs = FixedSigma(images, learned_sigma=True), []
        network.fraction = fraction
        sample(network, Ancestral('linear'), noise(), steps=10, callback=lambda step, inputs=inputs: inputs.append(step.noisy),
               generator=torch.Generator().manual_seed(0))
        deviations.append(np.std((inputs[5] - images).numpy()))
    assert deviations[0] < 0.98 * deviations[1]
