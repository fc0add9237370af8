"""Training steps of the suite and of the publications: equal losses and gradients."""
import copy

import pytest
import torch

from configs.schema import OptimizerConfig
from experiments.benchmarks.published_training import cyclegan_steps, ugatit_steps, use_published_spectral_norm
from experiments.benchmarks.translation import translation_figures
from experiments.training.optimization.optimizers import build_optimizer_groups, set_trainable_group
from models.batch import PairBatch
from models.registry import build_family
from models.runtime.cpu_kernels import use_cpu_kernels

SMALL = {'size': 64, 'width': 16, 'blocks': 1, 'discriminator_width': 8}
DEPTH = {'global_layers': 5, 'local_layers': 4}


@pytest.mark.parametrize('cpu_kernels', [False, True])
@pytest.mark.parametrize('name, published_steps, options, discriminators', [
    ('ugatit', ugatit_steps, DEPTH, ['disGA', 'disGB', 'disLA', 'disLB']),
    ('cyclegan', cyclegan_steps, {'pool': 0}, [])])
def test_gradients_equal_those_of_the_published_step(name, published_steps, options, discriminators, cpu_kernels):
    torch.manual_seed(0)
    family = build_family(name, {**SMALL, **options}, None)
    a, b = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    batch = PairBatch(a, b, torch.zeros(1, dtype=torch.bool))
    for discriminator in map(family.get_submodule, discriminators):  # converged spectral norms; eval mode leaves them unchanged
        for _ in range(10):
            discriminator(a)
        discriminator.eval()
    published_family = copy.deepcopy(family)
    use_published_spectral_norm(published_family)
    if cpu_kernels:
        assert all(use_cpu_kernels(network) > 0 for network in family.ema_modules().values())
    losses, cache = published_steps(published_family, batch), {}
    param_groups, published_groups = (build_optimizer_groups(model, {'default': OptimizerConfig()})
                                      for model in (family, published_family))
    for group, published_group in zip(param_groups, published_groups):
        set_trainable_group(param_groups, group)
        set_trainable_group(published_groups, published_group)
        loss = sum(family.config.weights[name] * value for name, value in family(group.name, batch, 0, cache).items())
        gradients = torch.autograd.grad(loss, group.parameters)
        published_loss = losses[group.name]()
        published_gradients = torch.autograd.grad(published_loss, published_group.parameters)
        assert loss.item() == pytest.approx(published_loss.item(), rel=1e-4)
        largest = max(gradient.abs().max() for gradient in published_gradients)
        for gradient, published in zip(gradients, published_gradients):
            assert gradient.shape == published.shape
            if published.abs().max() > 1e-4 * largest:  # smaller ones are rounding: a bias before an instance norm
                assert (gradient - published).norm() < 0.01 * published.norm()


def test_figures_of_every_form():
    figures = translation_figures('ugatit', repeats=1, **SMALL, **DEPTH)
    assert figures['times as fast, ours'] == pytest.approx(figures['plain, s/step'] / figures['ours, s/step'])
    assert figures['ours with CPU kernels, s/step'] > 0
    assert all(value > 0 for value in figures.values())
