"""Gaussian diffusion process: tables in float64, posteriors, the variational bound and loss weights."""
import math
from typing import Literal

import torch
from torch import Tensor

from models.ddpm.parameterization import Prediction

Weighting = Literal['none', 'p2', 'min_snr']


class Process:
    """Diffusion process over a subset of the timesteps of a schedule (respacing: Nichol & Dhariwal 2021, section 4).

    betas: (T,) float64 of the whole schedule. kept: ascending timesteps, all if None. `index`, (B,) int64, counts the kept
    timesteps; networks are called with timesteps[index]. Tables (N,), with a_t = alphas_cumprod and b_t = 1 - a_t / a_(t-1):

    | table               | equation                                  | source                         |
    | ------------------- | ----------------------------------------- | ------------------------------ |
    | betas               | b_t                                       | Nichol & Dhariwal 2021, eq. 19 |
    | posterior_variance  | b_t (1 - a_(t-1)) / (1 - a_t)             | Ho et al. 2020, eq. 7          |
    | mean_of_clean       | b_t sqrt(a_(t-1)) / (1 - a_t)             | Ho et al. 2020, eq. 7          |
    | mean_of_noisy       | (1 - a_(t-1)) sqrt(1 - b_t) / (1 - a_t)   | Ho et al. 2020, eq. 7          |

    posterior_log_variance holds the value of index 1 at index 0, where the variance is 0.
    """

    def __init__(self, betas: Tensor, kept: list[int] | None = None):
        kept = list(range(len(betas))) if kept is None else kept
        self.timesteps = torch.tensor(kept)
        self.alphas_cumprod = torch.cumprod(1 - betas, 0)[self.timesteps]  # (N,)
        before = torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod[:-1]])
        self.betas = 1 - self.alphas_cumprod / before
        self.posterior_variance = self.betas * (1 - before) / (1 - self.alphas_cumprod)
        self.posterior_log_variance = self.posterior_variance[[min(1, len(kept) - 1), *range(1, len(kept))]].log()
        self.mean_of_clean = self.betas * before.sqrt() / (1 - self.alphas_cumprod)
        self.mean_of_noisy = (1 - before) * (1 - self.betas).sqrt() / (1 - self.alphas_cumprod)

    def alpha(self, index: Tensor) -> Tensor:
        """(B,1,1,1) float32 alphas_cumprod."""
        return _at(self.alphas_cumprod, index)

    def posterior_mean(self, clean: Tensor, noisy: Tensor, index: Tensor) -> Tensor:
        """Mean (B,3,H,W) of q(x_(t-1) | x_t, x0)."""
        return _at(self.mean_of_clean, index) * clean + _at(self.mean_of_noisy, index) * noisy

    def log_variance(self, index: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Log variance of an ancestral step. sigma: variance outputs (B,3,H,W) of a network with learned sigma, -1 for the
        posterior variance, 1 for beta (Nichol & Dhariwal 2021, eq. 15). Without it beta, and the posterior variance at index 0,
        (B,1,1,1)."""
        if sigma is None:
            return _at(torch.cat([self.posterior_log_variance[:1], self.betas[1:].log()]), index)
        fraction = (sigma + 1) / 2
        return fraction * _at(self.betas.log(), index) + (1 - fraction) * _at(self.posterior_log_variance, index)

    def variational(self, clean: Tensor, noisy: Tensor, predicted: Tensor, sigma: Tensor | None, index: Tensor) -> Tensor:
        """Terms of the variational bound in bits per value, (B,); only sigma receives a gradient (Nichol & Dhariwal 2021, eq.
        16).

        clean: true x0; predicted: x0 of the network, not clipped; all (B,3,H,W). KL(q || p), at index 0 the negative
        log-likelihood of a discretized Gaussian of 256 gray levels.
        """
        mean, log_variance = self.posterior_mean(predicted.detach(), noisy, index), self.log_variance(index, sigma)
        true, true_log = self.posterior_mean(clean, noisy, index), _at(self.posterior_log_variance, index)
        divergence = 0.5 * (log_variance - true_log - 1 + (true_log - log_variance).exp()
                            + (true - mean).square() * (-log_variance).exp())
        nats = torch.where(_like(index == 0), -_gray_log_likelihood(clean, mean, log_variance / 2), divergence)
        return nats.flatten(1).mean(1) / math.log(2)


def loss_weight(weighting: Weighting, prediction: Prediction, alpha: Tensor, *, gamma: float | None = None) -> Tensor:
    """Weight of the squared error of a prediction at alphas_cumprod `alpha`, same shape; SNR = a / (1 - a).

    none: 1. p2: the error of eps times 1/(1 + SNR)^gamma, gamma 1 (Choi et al. 2022, eq. 8). min_snr: the error of x0 times
    min(SNR, gamma), gamma 5 (Hang et al. 2023, eq. 8).
    """
    if weighting == 'none':
        return torch.ones_like(alpha)
    snr = alpha / (1 - alpha)
    if weighting == 'p2':
        weight = snr / (1 + snr) ** (1 if gamma is None else gamma)
    else:
        weight = snr.clamp_max(5 if gamma is None else gamma)
    # From the error of x0 to the error of the prediction.
    error_ratio: dict[Prediction, Tensor | int] = {'sample': 1, 'epsilon': snr, 'v_prediction': snr + 1}
    return weight / error_ratio[prediction]


def _at(table: Tensor, index: Tensor) -> Tensor:
    """(B,1,1,1) float32 from a table (N,)."""
    return _like(table.float().to(index.device)[index])


def _like(value: Tensor) -> Tensor:
    return value[:, None, None, None]


def _gray_log_likelihood(image: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Log-likelihood of values in [-1,1] under a Gaussian, integrated over the bin of a gray level (Ho et al. 2020, eq. 13)."""
    def cdf(edge: Tensor) -> Tensor:
        x = (image - mean + edge) * (-log_deviation).exp()
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))

    upper, lower = cdf(image.new_tensor(1 / 255)), cdf(image.new_tensor(-1 / 255))
    probability = torch.where(image < -0.999, upper, torch.where(image > 0.999, 1 - lower, upper - lower))
    return probability.clamp_min(1e-12).log()
