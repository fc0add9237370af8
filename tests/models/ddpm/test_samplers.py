"""Every sampler walks from noise to the image that a perfect network knows, whatever the network predicts."""
import numpy as np
import pytest
import torch

from models.ddpm.networks.denoiser import Denoiser
from models.ddpm.parameterization import as_prediction, clean_from, noise_from, noised
from models.ddpm.samplers import chained, invert, sample
from models.ddpm.schedules import Ancestral, betas, scheduler, spaced

SAMPLERS = ('ancestral', 'ddpm', 'ddim', 'dpm++', 'unipc')


class Oracle(Denoiser):
    """Knows the images; counts how often it is asked, and at which timesteps."""

    def __init__(self, images: torch.Tensor, **declared):
        super().__init__(images.shape[-1], **declared)
        self.images, self.asked = images, []
        self.alphas = torch.cumprod(1 - betas(self.schedule), 0).float()

    def forward(self, image, timestep, condition=None):
        self.asked.append(int(timestep[0]))
        alpha = self.alphas[timestep][:, None, None, None]
        output = as_prediction(self.prediction, self.images, noise_from(self.images, image, alpha), alpha)
        return torch.cat([output, torch.zeros_like(output)], 1) if self.learned_sigma else output


@pytest.fixture
def images():
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9


def noise(seed: int = 1):
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_what_a_network_predicts_and_the_image_say_the_same(images, prediction):
    for alpha in (0.9, 0.1, torch.tensor([0.7, 0.2])[:, None, None, None]):
        noisy = noised(images, noise(), alpha)
        output = as_prediction(prediction, images, noise(), alpha)
        torch.testing.assert_close(clean_from(prediction, output, noisy, alpha), images, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(noise_from(images, noisy, alpha), noise(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_a_perfect_network_is_followed_to_its_image(images, sampler, prediction, schedule):
    network = Oracle(images, prediction=prediction, schedule=schedule, learned_sigma=sampler == 'ancestral')
    steps = []
    found = sample(network, scheduler(sampler, schedule), noise(), steps=12, callback=steps.append,
                   generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(found, images, atol=0.02, rtol=0)
    assert len(network.asked) == 12 and network.asked == [step.t for step in steps]
    assert [step.index for step in steps] == list(range(12)) and {step.count for step in steps} == {12}
    assert [step.t_prev for step in steps] == [*network.asked[1:], -1] and steps[-1].alpha_prev == 1
    for step in steps:
        torch.testing.assert_close(noised(step.clean, step.noise, step.alpha), step.noisy, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_the_last_word_has_the_hook(images, sampler):
    levels = []

    def black(x, step):
        levels.append(step.alpha_prev)
        return noised(torch.full_like(x, -1), step.noise, step.alpha_prev)

    asked = Oracle(images), scheduler(sampler, 'linear'), noise()
    hooked = sample(*asked, steps=6, hook=chained(black, lambda x, step: x + (step.t_prev == -1)))
    torch.testing.assert_close(hooked, torch.zeros_like(hooked), atol=1e-5, rtol=0)
    assert levels == sorted(levels) and len(levels) == 6


def test_ddim_is_deterministic_until_eta_adds_noise(images):
    class Weak(Oracle):
        def forward(self, image, timestep, condition=None):
            return 0.5 * super().forward(image, timestep, condition)

    def draw(seed, eta):
        return sample(Weak(images), scheduler('ddim', 'linear'), noise(), steps=5, eta=eta,
                      generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1, 0.0), draw(2, 0.0))
    assert torch.equal(draw(1, 1.0), draw(1, 1.0)) and not torch.equal(draw(1, 1.0), draw(2, 1.0))


def test_inversion_leads_back_to_the_image(images):
    """With a network that pulls everything towards gray, so that the way depends on where it starts."""
    class Gray(Denoiser):
        def forward(self, image, timestep, condition=None):
            alpha = torch.cumprod(1 - betas('linear'), 0).float()[timestep][:, None, None, None]
            return alpha.sqrt() * 0.25 * image / (0.25 * alpha + 1 - alpha)  # the mean of x0 where images are N(0, 0.25)

    network = Gray(8, prediction='sample')
    for start in (0, 30):
        levels = scheduler('ddim', 'linear')
        far = invert(network, levels, images / 2, steps=100, start=start)
        assert (far - images / 2).abs().max() > 0.3
        back = sample(network, levels, far, steps=100, start=start, clip=False)
        torch.testing.assert_close(back, images / 2, atol=0.03, rtol=0)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_a_start_on_the_way_asks_only_for_the_rest(images, sampler):
    network, levels = Oracle(images), scheduler(sampler, 'linear')
    found = sample(network, levels, noised(images, noise(), 0.5), steps=10, start=6)
    assert len(network.asked) == 4
    torch.testing.assert_close(found, images, atol=0.02, rtol=0)


def test_the_published_sampler_takes_the_published_respacing(images):
    network, levels = Oracle(images, learned_sigma=True), Ancestral('linear')
    sample(network, levels, noise(), steps='10')
    assert network.asked == [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]
    sample(network, levels, noise(), steps='ddim25')
    assert network.asked[10:] == list(range(960, -1, -40))


@pytest.mark.parametrize('kept', ['ddim700', '400,700,200', '0'])
def test_an_impossible_respacing_is_one_sentence(kept):
    with pytest.raises(ValueError, match='kept|keeps'):
        spaced(1000, kept)


def test_learned_sigma_decides_how_much_noise_an_ancestral_step_adds(images):
    class Sure(Oracle):
        share = -1.0

        def forward(self, image, timestep, condition=None):
            output, _ = super().forward(image, timestep, condition).chunk(2, 1)
            return torch.cat([output, torch.full_like(output, self.share)], 1)

    spreads = []
    for share in (-1.0, 1.0):
        network, seen = Sure(images, learned_sigma=True), []
        network.share = share
        sample(network, Ancestral('linear'), noise(), steps=10, callback=lambda step, seen=seen: seen.append(step.noisy),
               generator=torch.Generator().manual_seed(0))
        spreads.append(np.std((seen[5] - images).numpy()))
    assert spreads[0] < 0.98 * spreads[1]
