"""The contract of a family, for each family of the registry."""
import pytest
import torch
from torch import Tensor

from configs.schema import OptimizerConfig
from experiments.training.checkpoint import save_family
from experiments.training.optimization.optimizers import build_optimizer_groups, set_trainable_group
from models.base import Family
from models.batch import PairBatch, SwapBatch
from models.registry import GENERATORS, build_family, load_family
from tests.contract.stubs import IDENTITY, tiny_perception

# The smallest config of each family that trains with all of its losses, and the type of its batches.
TINY = {
    'cvae': ({'size': 32, 'widths': (8, 16), 'depth': 1, 'latent': 4, 'style': 8, 'background': 8, 'id_dim': IDENTITY,
              'fine': 8, 'discriminator': 4, 'weights': dict.fromkeys(('reconstruction', 'edges', 'perceptual', 'kl', 'id',
                                                                  'background', 'parsing', 'shading', 'contrast',
                                                                  'total_variation', 'landmarks', 'adversarial', 'discriminator'),
                                                                 1.0)}, SwapBatch),
    'cgan': ({'size': 16, 'generator': {'fold': 2, 'widths': (16, 16), 'blocks': 1, 'decoder_blocks': 1, 'id_dim': IDENTITY,
                                        'style': 8, 'norm': 'group', 'value_range': 'signed', 'tanh': False, 'attention': (4,),
                                        'condition_channels': 1, 'background_image': True, 'skips': 'background_image',
                                        'skip_width': 8, 'mask': True},
              'discriminator': {'kind': 'sagan', 'widths': (8, 16), 'fold': 2, 'attention': (8,), 'spectral': False,
                                'classes': 5},
              'weights': dict.fromkeys(('id', 'reconstruction', 'edges', 'background', 'perceptual', 'parsing', 'shading',
                                        'contrast', 'total_variation', 'landmarks', 'adversarial', 'feature_matching', 'cycle',
                                        'classes', 'discriminator', 'gradient_penalty', 'r1', 'discriminator_classes'),
                                        1.0)}, SwapBatch),
    'ddpm': ({'size': 16, 'widths': (8, 16), 'attention': 1, 'tokens': 2, 'id_dim': IDENTITY, 'learned_sigma': True,
              'sampling': {'steps': 2}, 'weights': {'noise': 1.0, 'id': 0.1, 'background': 0.3, 'perceptual': 0.1,
                                                    'variational': 0.001}}, SwapBatch),
    'munit': ({'size': 16, 'width': 4, 'style': 2, 'hidden': 8, 'residuals': 1, 'discriminator_width': 4,
               'discriminator_layers': 2,
               'scales': 2, 'weights': dict.fromkeys(('adversarial', 'reconstruction', 'style', 'content', 'cycle', 'perceptual',
                                                      'discriminator'), 1.0)}, PairBatch),
    'pix2pixhd': ({'size': 16, 'width': 4, 'downs': 1, 'blocks': 1, 'enhancer': True, 'local_blocks': 1, 'feature_width': 4,
                   'discriminator_width': 4, 'discriminator_layers': 1}, SwapBatch),
    'satnet': ({'size': 16, 'width': 4, 'style': 2, 'hidden': 8, 'residuals': 1, 'discriminator_width': 4,
                'discriminator_layers': 2,
                'scales': 2, 'threshold': 2.0, 'adversary': 'lsgan',
                'weights': dict.fromkeys(('adversarial', 'reconstruction', 'style', 'content', 'cycle', 'id', 'supervised',
                                          'discriminator'), 1.0)}, PairBatch),
    'ugatit': ({'size': 16, 'width': 4, 'discriminator_width': 4, 'blocks': 1, 'global_layers': 4, 'local_layers': 3,
                'enhanced': True,
                'squeeze': True, 'masks': 2, 'keep_input': True, 'masked_discriminator': True, 'cam_input': 'both',
                'weights': {'adversarial_a2b': 1.0, 'adversarial_b2a': 1.0, 'cycle': 1.0, 'identity_mapping': 1.0, 'cam': 1.0,
                            'background': 1.0, 'variation': 1.0, 'discriminator_a2b': 1.0, 'discriminator_b2a': 1.0}}, PairBatch),
    'cyclegan': ({'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4, 'discriminator_layers': 2,
                  'weights': {'adversarial': 1.0, 'cycle': 10.0, 'identity_mapping': 5.0, 'discriminator': 0.5,
                              'penalty': 10.0}}, PairBatch),
    'cut': ({'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4, 'discriminator_layers': 2, 'layers': (0, 4, 8),
             'patches': 8,
             'features': 8}, PairBatch),
    'cartoongan': ({'size': 16, 'width': 4, 'blocks': 1, 'discriminator_width': 4,
                    'weights': dict.fromkeys(('adversarial', 'content', 'color', 'id', 'discriminator'), 1.0)}, PairBatch),
    'dtn': ({'size': 16, 'width': 4, 'discriminator_width': 4, 'features': IDENTITY}, PairBatch),
    'xgan': ({'size': 32, 'width': 4, 'embedding': 16, 'discriminator_width': 4, 'id_dim': IDENTITY}, PairBatch),
    'stargan': ({'size': 32, 'width': 8, 'cap': 8, 'style': 4, 'latent': 4, 'mapping': 8}, PairBatch),
}
COUNT = 4


@pytest.fixture(params=GENERATORS)
def name(request) -> str:
    return request.param


@pytest.fixture
def family(name) -> Family:
    return make(name)


def make(name: str, **overrides) -> Family:
    perception = tiny_perception()
    torch.manual_seed(0)
    return build_family(name, {**TINY[name][0], **overrides}, perception)


@pytest.fixture
def batch(name) -> SwapBatch | PairBatch:
    size = TINY[name][0]['size']
    generator = torch.Generator().manual_seed(3)
    first, second = torch.rand(2, COUNT, 3, size, size, generator=generator) * 2 - 1
    half = torch.arange(COUNT) % 2 == 0
    if TINY[name][1] is PairBatch:
        return PairBatch(first, second, half)
    labels = torch.zeros(COUNT, size, size, dtype=torch.int64)
    labels[:, size // 4:-size // 4, size // 4:-size // 4] = 1
    identity_labels = torch.arange(COUNT)
    return SwapBatch(first, second, half, labels, source_label=identity_labels, target_label=identity_labels.flip(0))


def snapshot(family: Family) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in family.state_dict().items()}


def total_loss(family: Family, group: str, batch) -> Tensor:
    return sum(family.config.weights[name] * loss for name, loss in family(group, batch, 0, {}).items())


def test_param_groups_own_disjoint_parameters(family):
    groups = family.param_groups()
    assert groups and all(groups.values())
    parameters = [id(parameter) for group in groups.values() for parameter in group]
    assert len(parameters) == len(set(parameters))
    assert set(parameters) <= {id(parameter) for parameter in family.parameters()}


def test_losses_are_finite_scalars_that_have_weights(family, batch):
    names = []
    for group in family.param_groups():
        for name, loss in family(group, batch, 0, {}).items():
            assert loss.shape == () and torch.isfinite(loss) and loss.is_floating_point(), name
            names.append(name)
    assert sorted(names) == sorted(name for name, weight in family.config.weights.items() if weight)


def test_a_loss_of_weight_0_is_not_computed(name, batch):
    weights = make(name).config.weights
    for absent in weights:
        family = make(name, weights={**weights, absent: 0.0})
        for group in family.param_groups():
            assert absent not in family(group, batch, 0, {})


def test_each_group_has_gradients_everywhere_and_is_updated_alone(family, batch):
    param_groups = build_optimizer_groups(family, {'default': OptimizerConfig(name='sgd', lr=0.1, betas=(0.0, 0.0))})
    names = {id(parameter): name for name, parameter in family.named_parameters()}
    for group in param_groups:
        before = snapshot(family)
        set_trainable_group(param_groups, group)
        # Two updates: layers before one that is initialized with zeros have gradients from the second one on. A scalar may have
        # none: the last bias of a hinge discriminator has equal and opposite gradients of real and fake images.
        touched = set()
        for _ in range(2):
            group.optimizer.zero_grad()
            total_loss(family, group.name, batch).backward()
            touched |= {names[id(p)] for p in group.parameters
                        if p.grad is not None and (p.grad.abs().max() > 0 or p.numel() == 1)}
            group.optimizer.step()
            family.after_update(group.name)
        expected = {names[id(parameter)] for parameter in group.parameters}
        assert touched == expected
        others = {names[id(parameter)] for other in param_groups for parameter in other.parameters} - expected
        assert all(torch.equal(family.get_parameter(name), before[name]) for name in others)


def test_generated_images_are_in_range_and_reproducible(family, batch):
    family.eval()
    first, again = (family.generate(batch, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    size = family.config.size
    assert first.shape == (COUNT, 3, size, size) and first.dtype == torch.float32
    assert first.min() >= -1 and first.max() <= 1
    assert not first.requires_grad
    assert torch.equal(first, again)


def test_generation_needs_no_labels_and_is_independent_of_the_batch(name, family, batch):
    if not isinstance(batch, SwapBatch):
        pytest.skip('only swap batches have labels')
    family.eval()
    bare = SwapBatch(batch.source, batch.target, torch.zeros(COUNT, dtype=torch.bool))
    single = SwapBatch(bare.source[:1], bare.target[:1], bare.same[:1])
    together, alone = (family.generate(inputs, generator=torch.Generator().manual_seed(5)) for inputs in (bare, single))
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


def test_the_panel_holds_one_image_per_sample_and_column(family, batch):
    family.eval()
    with torch.no_grad():
        panel = family.panel(batch)
    assert len(panel) >= 2
    for title, images in panel.items():
        assert images.shape[:2] == (COUNT, 3), title
        assert images.min() >= -1 and images.max() <= 1, title


def test_ema_modules_are_submodules(family):
    inside = list(family.modules())
    assert family.ema_modules()
    assert all(any(module is part for part in inside) for module in family.ema_modules().values())


def test_a_saved_family_is_restored(name, family, batch, tmp_path):
    save_family(tmp_path / 'family.safetensors', name, family.state_dict(), family.config)
    loaded = load_family(tmp_path / 'family.safetensors', family.perception)
    assert loaded.config == family.config
    assert all(torch.equal(value, family.state_dict()[key]) for key, value in loaded.state_dict().items())
    first, second = (each.eval().generate(batch, generator=torch.Generator().manual_seed(5)) for each in (family, loaded))
    assert torch.equal(first, second)


def test_the_perception_is_no_submodule(family):
    perception = family.perception
    networks = perception.id_encoder, perception.teacher, perception.parser
    frozen = {id(value) for network in networks for value in network.parameters()}
    assert frozen.isdisjoint(id(value) for value in family.parameters())
    assert not any(isinstance(module, type(perception.id_encoder)) for module in family.modules())
    assert family.state_dict().keys() == type(family)(family.config, None).state_dict().keys()


def test_training_embedders_lists_the_embedders_used_in_training(family, batch):
    used = set()
    for role in ('id_encoder', 'teacher'):
        getattr(family.perception, role).network.maps[0].register_forward_hook(lambda *_, role=role: used.add(role))
    for group in family.param_groups():
        family(group, batch, 1, {})  # at multiples of METRICS_EVERY the metrics use the teacher as well
    assert used <= family.training_embedders()


def test_training_does_not_change_the_perception(family, batch):
    before = [value.clone() for value in family.perception.teacher.state_dict().values()]
    family.train()
    for group in family.param_groups():
        total_loss(family, group, batch).backward()
    assert all(value.grad is None for value in family.perception.teacher.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, family.perception.teacher.state_dict().values()))
