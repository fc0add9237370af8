"""Diffusion: denoisers, posterior, losses, schedules."""
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from models.ddpm.networks.adm import ADMConfig, ADMUNet
from models.ddpm.networks.published import PublishedUNet
from models.ddpm.parameterization import clean_from, noised, split
from models.ddpm.process import Process
from models.ddpm.schedules import betas, spaced
from tests.parity.fixture import Fixture
from tests.parity.network import Network


def adm(config: dict) -> nn.Module:
    return ADMUNet(ADMConfig(attention_resolutions=[int(config['attention_resolutions'])], **{
        name: config[name] for name in ('image_size', 'num_channels', 'num_res_blocks', 'num_head_channels', 'learn_sigma')}))


def diffusion(network: ADMUNet, fixture: Fixture) -> dict[str, Tensor]:
    """Output of the network, posterior, and hybrid loss with the input as the clean image."""
    image, t = fixture.inputs()[0], torch.tensor(fixture.config['t'])
    noise = fixture.normal(fixture.config['input'], 'noise')
    process = Process(betas('linear'))
    alpha = process.alpha(t)

    def predict(noisy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with torch.no_grad():
            output = network(noisy, t)
        eps, sigma = split(output, 3)
        return output, eps, sigma, clean_from('epsilon', eps, noisy, alpha)

    output, _, sigma, clean = predict(image)
    clean = clean.clamp(-1, 1)
    posterior = {'p_pred_xstart': clean, 'p_mean': process.posterior_mean(clean, image, t),
                 'p_log_variance': process.log_variance(t, sigma)}
    noisy = noised(image, noise, alpha)
    _, eps, sigma, clean = predict(noisy)
    mse = (eps - noise).square().flatten(1).mean(1)
    bound = process.variational(image, noisy, clean, sigma, t)
    losses = {'mse': mse, 'vb': bound, 'loss': mse + bound}
    rescaled = {'mse': mse, 'vb': bound * len(process.betas) / 1000, 'loss': mse + bound * len(process.betas) / 1000}
    return {'out': output, **posterior, **{f'loss_{name}': value for name, value in losses.items()},
            **{f'rescaled_loss_{name}': value for name, value in rescaled.items()}}


def celebahq(network: UNet2DModel, fixture: Fixture) -> dict[str, Tensor]:
    with torch.no_grad():
        return {'out': PublishedUNet(network)(fixture.inputs()[0], torch.tensor(fixture.config['t']))}


def unet2d(config: dict) -> UNet2DModel:
    return UNet2DModel(**{name: value for name, value in config.items() if name not in ('input', 't')})


def schedules(network: nn.Module, fixture: Fixture) -> dict[str, Tensor]:
    arguments = {'spaced_1000_10': (1000, '10'), 'spaced_1000_100': (1000, '100'), 'spaced_1000_ddim25': (1000, 'ddim25'),
                 'spaced_300_10_15_20': (300, '10,15,20')}
    process = Process(betas('linear'), spaced(1000, '10'))
    spaced10 = {'betas': process.betas, 'alphas_cumprod': process.alphas_cumprod, 'timestep_map': process.timesteps,
                'posterior_variance': process.posterior_variance,
                'posterior_log_variance_clipped': process.posterior_log_variance, 'posterior_mean_coef1': process.mean_of_clean,
                'posterior_mean_coef2': process.mean_of_noisy}
    return {'betas_linear': betas('linear'), 'betas_cosine': betas('cosine'),
            **{name: torch.tensor(spaced(*values)) for name, values in arguments.items()},
            **{f'spaced10_{name}': value for name, value in spaced10.items()}}


DDPM = {
    'ddpm_celebahq256': Network(unet2d, celebahq),
    # At t = 0 the likelihood is a difference of two probabilities near the precision of float32.
    'ilvr_adm_unet': Network(adm, diffusion, {f'{run}loss_{loss}': 1e-4 for run in ('', 'rescaled_') for loss in ('vb', 'loss')}),
    'diffusion_schedules': Network(lambda config: nn.Identity(), schedules),
}
