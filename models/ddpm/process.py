"""The diffusion process in float64: its tables, its posteriors, what training may be told of them."""
import math
from typing import Literal

import torch
from torch import Tensor

from models.ddpm.parameterization import Prediction

Weighting = Literal['none', 'p2', 'min_snr']


class Process:
    """Some of the timesteps of a schedule, by default all, as a process of its own (Nichol & Dhariwal 2021, section 4).

    betas: (T,) float64 of the whole schedule. kept: ascending timesteps. An `index` below is (B,) int64 and counts the kept ones;
    networks are called with timesteps[index].
    """

    def __init__(self, betas: Tensor, kept: list[int] | None = None):
        kept = list(range(len(betas))) if kept is None else kept
        self.timesteps = torch.tensor(kept)
        self.alphas_cumprod = torch.cumprod(1 - betas, 0)[self.timesteps]  # (N,)
        before = torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod[:-1]])
        self.betas = 1 - self.alphas_cumprod / before
        # q(x_(t-1) given x_t, x0): Ho et al. 2020, eq. 6-7.
        self.posterior_variance = self.betas * (1 - before) / (1 - self.alphas_cumprod)
        # At index 0 it is 0, whose logarithm nobody wants.
        self.posterior_log_variance = self.posterior_variance[[min(1, len(kept) - 1), *range(1, len(kept))]].log()
        self.mean_of_clean = self.betas * before.sqrt() / (1 - self.alphas_cumprod)
        self.mean_of_noisy = (1 - before) * (1 - self.betas).sqrt() / (1 - self.alphas_cumprod)

    def alpha(self, index: Tensor) -> Tensor:
        """(B,1,1,1) float32 alphas_cumprod."""
        return _at(self.alphas_cumprod, index)

    def posterior_mean(self, clean: Tensor, noisy: Tensor, index: Tensor) -> Tensor:
        """Mean (B,3,H,W) of x_(t-1) given x_t and x0."""
        return _at(self.mean_of_clean, index) * clean + _at(self.mean_of_noisy, index) * noisy

    def log_variance(self, index: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Log variance of an ancestral step. sigma: what a network with learned sigma says, (B,3,H,W): -1 for the posterior's, 1
        for beta's (Nichol & Dhariwal 2021, eq. 15); without it beta's, (B,1,1,1), but at index 0."""
        if sigma is None:
            return _at(torch.cat([self.posterior_log_variance[:1], self.betas[1:].log()]), index)
        share = (sigma + 1) / 2
        return share * _at(self.betas.log(), index) + (1 - share) * _at(self.posterior_log_variance, index)

    def variational(self, clean: Tensor, noisy: Tensor, predicted: Tensor, sigma: Tensor, index: Tensor) -> Tensor:
        """(B,) the variational bound's loss of each index in bits per value, from which only sigma learns (eq. 16-17 there).

        clean: true x0; predicted: the network's, not clipped; all (B,3,H,W). KL(q || p), at index 0 the negative log-likelihood
        of a Gaussian integrated over the 255 gray steps.
        """
        mean, log_variance = self.posterior_mean(predicted.detach(), noisy, index), self.log_variance(index, sigma)
        true, true_log = self.posterior_mean(clean, noisy, index), _at(self.posterior_log_variance, index)
        divergence = 0.5 * (log_variance - true_log - 1 + (true_log - log_variance).exp()
                            + (true - mean).square() * (-log_variance).exp())
        nats = torch.where(_like(index == 0), -_gray_log_likelihood(clean, mean, log_variance / 2), divergence)
        return nats.flatten(1).mean(1) / math.log(2)


def loss_weight(weighting: Weighting, prediction: Prediction, alpha: Tensor, *, gamma: float | None = None) -> Tensor:
    """The weight of a prediction's squared error at alphas_cumprod `alpha`, same shape.

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
    return weight / {'sample': 1, 'epsilon': snr, 'v_prediction': snr + 1}[prediction]  # from an error of x0 to that of its own


def _at(table: Tensor, index: Tensor) -> Tensor:
    """(B,1,1,1) float32 from a table (N,)."""
    return _like(table.float().to(index.device)[index])


def _like(value: Tensor) -> Tensor:
    return value[:, None, None, None]


def _gray_log_likelihood(image: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Of each value in [-1,1] under a Gaussian, integrated over the bin of its gray step (Ho et al. 2020, eq. 13). Same shape."""
    def below(edge: Tensor) -> Tensor:
        x = (image - mean + edge) * (-log_deviation).exp()
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))

    upper, lower = below(image.new_tensor(1 / 255)), below(image.new_tensor(-1 / 255))
    share = torch.where(image < -0.999, upper, torch.where(image > 0.999, 1 - lower, upper - lower))
    return share.clamp_min(1e-12).log()
