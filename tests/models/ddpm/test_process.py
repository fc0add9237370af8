"""Tables of the diffusion process and loss weights."""
import pytest
import torch

from models.ddpm.parameterization import as_prediction, noise_from, noised
from models.ddpm.process import Process, loss_weight
from models.ddpm.schedules import betas, spaced

ALPHA = torch.tensor([0.99, 0.5, 0.05])


@pytest.mark.parametrize('weighting', ['p2', 'min_snr'])
def test_weighted_error_is_equal_in_every_parameterization(weighting):
    rng = torch.Generator().manual_seed(0)
    clean, wrong, noise = torch.randn(3, 3, 1, 4, 4, generator=rng)
    alpha = ALPHA[:, None, None, None]
    noisy = noised(clean, noise, alpha)
    losses = [(loss_weight(weighting, prediction, alpha) * (
        as_prediction(prediction, wrong, noise_from(wrong, noisy, alpha), alpha)
        - as_prediction(prediction, clean, noise, alpha)).square()).flatten(1).mean(1) for prediction in
        ('sample', 'epsilon', 'v_prediction')]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(losses[0], losses[2], rtol=1e-3, atol=1e-5)


def test_published_weights():
    snr = ALPHA / (1 - ALPHA)
    torch.testing.assert_close(loss_weight('p2', 'epsilon', ALPHA), 1 / (1 + snr))
    torch.testing.assert_close(loss_weight('min_snr', 'epsilon', ALPHA), torch.minimum(snr, torch.tensor(5.0)) / snr)
    torch.testing.assert_close(loss_weight('min_snr', 'sample', ALPHA, gamma=1), torch.minimum(snr, torch.tensor(1.0)))
    assert loss_weight('none', 'epsilon', ALPHA).tolist() == [1, 1, 1]


def test_variational_bound_trains_sigma_only_and_is_least_at_the_true_variance():
    process, index = Process(betas('linear')), torch.tensor([0, 300])
    rng = torch.Generator().manual_seed(0)
    clean = (torch.rand(2, 3, 8, 8, generator=rng) * 255).round() / 127.5 - 1
    noisy = noised(clean, torch.randn(clean.shape, generator=rng), process.alpha(index))
    predicted, sigma = clean.clone().requires_grad_(), torch.zeros_like(clean, requires_grad=True)
    process.variational(clean, noisy, predicted, sigma, index).sum().backward()
    assert predicted.grad is None and sigma.grad.abs().min() > 0
    bounds = [process.variational(clean, noisy, clean, torch.full_like(clean, value), index)[1].item() for value in (-1, 0, 1)]
    assert bounds[0] == pytest.approx(0, abs=1e-5) and bounds == sorted(bounds)


def test_respaced_process_has_the_same_noise_levels():
    whole, subset = Process(betas('cosine')), spaced(1000, '7')
    torch.testing.assert_close(Process(betas('cosine'), subset).alphas_cumprod, whole.alphas_cumprod[subset])
    assert spaced(1000, '') == list(range(1000)) and spaced(10, '1,2') == [0, 5, 9]
