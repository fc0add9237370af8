"""The contract of a family, for each family of the registry that generates images."""
import pytest
import torch
from torch import Tensor

from configs.schema import OptimizerConfig
from experiments.training.optimization.optimizers import build_optimizer_groups, set_trainable_group
from experiments.training.state.checkpoint import save_family
from models.base import Family
from models.batch import PairBatch, SwapBatch
from models.registry import GENERATORS, build_family, family_types, load_family
from tests.contract.configs import TINY_CONFIGS
from tests.contract.stubs import tiny_perception

BATCH_SIZE = 4


@pytest.fixture(params=GENERATORS)
def name(request) -> str:
    return request.param


@pytest.fixture
def family(name) -> Family:
    return build(name)


def build(name: str, **overrides) -> Family:
    """The family, with the same weights at each call; overrides replace fields of its tiny config."""
    perception = tiny_perception()
    torch.manual_seed(0)
    return build_family(name, {**TINY_CONFIGS[name], **overrides}, perception)


@pytest.fixture
def batch(name) -> SwapBatch | PairBatch:
    size = TINY_CONFIGS[name]['size']
    generator = torch.Generator().manual_seed(3)
    first, second = torch.rand(2, BATCH_SIZE, 3, size, size, generator=generator) * 2 - 1
    same = torch.arange(BATCH_SIZE) % 2 == 0
    if family_types(name)[0].batch is PairBatch:
        return PairBatch(first, second, same)
    labels = torch.zeros(BATCH_SIZE, size, size, dtype=torch.int64)
    labels[:, size // 4:-size // 4, size // 4:-size // 4] = 1
    identity_labels = torch.arange(BATCH_SIZE)
    return SwapBatch(first, second, same, labels, source_label=identity_labels, target_label=identity_labels.flip(0))


def snapshot(family: Family) -> dict[str, Tensor]:
    """A copy of the state."""
    return {name: value.clone() for name, value in family.state_dict().items()}


def total_loss(family: Family, group: str, batch) -> Tensor:
    """The weighted sum of a group's losses."""
    return sum(family.config.weights[name] * loss for name, loss in family(group, batch, 0, {}).items())


def test_param_groups_have_disjoint_parameters(family):
    groups = family.param_groups()
    assert groups and all(groups.values())
    parameters = [id(parameter) for group in groups.values() for parameter in group]
    assert len(parameters) == len(set(parameters))
    assert set(parameters) <= {id(parameter) for parameter in family.parameters()}


def test_losses_are_finite_scalars_with_weights(family, batch):
    names = []
    for group in family.param_groups():
        for name, loss in family(group, batch, 0, {}).items():
            assert loss.shape == () and torch.isfinite(loss) and loss.is_floating_point(), name
            names.append(name)
    assert sorted(names) == sorted(name for name, weight in family.config.weights.items() if weight)


def test_loss_of_weight_0_is_not_computed(name, batch):
    weights = build(name).config.weights
    for loss in weights:
        family = build(name, weights={**weights, loss: 0.0})
        for group in family.param_groups():
            assert loss not in family(group, batch, 0, {})


def test_group_updates_its_own_parameters_and_all_have_gradients(family, batch):
    param_groups = build_optimizer_groups(family, {'default': OptimizerConfig(name='sgd', lr=0.1, betas=(0.0, 0.0))})
    names = {id(parameter): name for name, parameter in family.named_parameters()}
    for group in param_groups:
        before = snapshot(family)
        set_trainable_group(param_groups, group)
        # Two updates: layers before one that is initialized with zeros have gradients from the second one on. A scalar may have
        # none: the last bias of a hinge discriminator has equal and opposite gradients of real and fake images.
        with_gradient = set()
        for _ in range(2):
            group.optimizer.zero_grad()
            total_loss(family, group.name, batch).backward()
            with_gradient |= {names[id(p)] for p in group.parameters
                              if p.grad is not None and (p.grad.abs().max() > 0 or p.numel() == 1)}
            group.optimizer.step()
            family.after_update(group.name)
        expected = {names[id(parameter)] for parameter in group.parameters}
        assert with_gradient == expected
        others = {names[id(parameter)] for other in param_groups for parameter in other.parameters} - expected
        assert all(torch.equal(family.get_parameter(name), before[name]) for name in others)


def test_generated_images_are_in_range_and_reproducible(family, batch):
    family.eval()
    first, second = (family.generate(batch, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    size = family.config.size
    assert first.shape == (BATCH_SIZE, 3, size, size) and first.dtype == torch.float32
    assert first.min() >= -1 and first.max() <= 1
    assert not first.requires_grad
    assert torch.equal(first, second)


def test_generation_needs_no_labels_and_treats_samples_independently(name, family, batch):
    if not isinstance(batch, SwapBatch):
        pytest.skip('only swap batches have labels')
    family.eval()
    unlabeled = SwapBatch(batch.source, batch.target, torch.zeros(BATCH_SIZE, dtype=torch.bool))
    single = SwapBatch(unlabeled.source[:1], unlabeled.target[:1], unlabeled.same[:1])
    batch_images, single_image = (family.generate(inputs, generator=torch.Generator().manual_seed(5))
                                  for inputs in (unlabeled, single))
    torch.testing.assert_close(batch_images[:1], single_image, atol=1e-4, rtol=1e-4)


def test_panel_holds_one_image_per_sample_and_column(family, batch):
    family.eval()
    with torch.no_grad():
        panel = family.panel(batch)
    assert len(panel) >= 2
    for title, images in panel.items():
        assert images.shape[:2] == (BATCH_SIZE, 3), title
        assert images.min() >= -1 and images.max() <= 1, title


def test_ema_modules_are_submodules(family):
    submodules = list(family.modules())
    assert family.ema_modules()
    assert all(any(module is submodule for submodule in submodules) for module in family.ema_modules().values())


def test_saved_family_is_restored(name, family, batch, tmp_path):
    save_family(tmp_path / 'family.safetensors', name, family.state_dict(), family.config)
    loaded = load_family(tmp_path / 'family.safetensors', family.perception)
    assert loaded.config == family.config
    assert all(torch.equal(value, family.state_dict()[key]) for key, value in loaded.state_dict().items())
    first, second = (restored.eval().generate(batch, generator=torch.Generator().manual_seed(5)) for restored in (family, loaded))
    assert torch.equal(first, second)


def test_perception_is_no_submodule(family):
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
