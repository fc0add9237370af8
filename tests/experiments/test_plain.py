"""Our training steps against the published order of passes: the same losses and gradients, in less time."""
import pytest
import torch

from configs.schema import OptimizerConfig
from experiments.benchmarks.plain import cyclegan_steps, direct, ugatit_steps
from experiments.benchmarks.translation import translating
from experiments.training.optimizers import build_optimizer_groups, set_trainable_group
from models.batch import PairBatch
from models.registry import build_family

SMALL = {'size': 64, 'width': 48, 'blocks': 1, 'discriminator_width': 8}  # wide enough for Winograd's way in the residual blocks
DEPTH = {'global_layers': 5, 'local_layers': 4}


@pytest.mark.parametrize('name, plain, more, discriminators', [
    ('ugatit', ugatit_steps, DEPTH, ['disGA', 'disGB', 'disLA', 'disLB']),
    ('cyclegan', cyclegan_steps, {'pool': 0}, [])])
def test_gradients_are_those_of_the_published_order(name, plain, more, discriminators):
    torch.manual_seed(0)
    family = build_family(name, {**SMALL, **more}, None)
    a, b = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    batch = PairBatch(a, b, torch.zeros(1, dtype=torch.bool))
    for discriminator in map(family.get_submodule, discriminators):  # spectral norm at rest: its estimate moves with every pass
        for _ in range(10):
            discriminator(a)
        discriminator.eval()
    param_groups, published = build_optimizer_groups(family, {'default': OptimizerConfig()}), plain(family, batch)
    cache = {}
    for group in param_groups:
        set_trainable_group(param_groups, group)
        ours = sum(family.config.weights[loss] * value for loss, value in family(group.name, batch, 0, cache).items())
        ours = ours, torch.autograd.grad(ours, group.parameters)
        with direct():
            theirs = published[group.name]()
            theirs = theirs, torch.autograd.grad(theirs, group.parameters)
        assert ours[0].item() == pytest.approx(theirs[0].item(), rel=1e-4)
        largest = max(gradient.abs().max() for gradient in theirs[1])
        for first, second in zip(ours[1], theirs[1]):
            if second.abs().max() > 1e-4 * largest:  # below that it is rounding: a bias before an instance norm
                assert (first - second).norm() < 0.01 * second.norm()


def test_the_benchmark_measures_both_forms():
    figures = translating('ugatit', repeats=1, **SMALL, **DEPTH)
    assert figures['times as fast, ours'] == pytest.approx(figures['plain, s/step'] / figures['ours, s/step'])
    assert all(value > 0 for value in figures.values())
