"""Registry of swap losses."""
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from experiments.training.devices.fabric import build_fabric
from experiments.training.engine import Engine
from experiments.training.launch.completion import complete
from models.base import Perception
from models.batch import PARTS, SwapBatch
from models.cgan.family import CGANConfig
from models.cvae.family import CVAEConfig
from models.ddpm.family import DDPMConfig
from models.losses.identity import cosine_id_loss
from models.registry import SWAPPERS, build_family, family_types
from models.swap.losses import SWAP_LOSSES, RenderedSwap, swap_losses
from tests.contract.small import small_family
from tests.contract.stubs import ID_DIM, TinyLandmarks, tiny_perception

ROOT = Path(__file__).resolve().parents[3]
SIZE = 32
RECORDED = {  # of Rendered with its default arguments
    'id_encoder': 0.985921323299408,
    'perceptual': 1.2951375246047974,
    'id': 0.6613920331001282,
    'id_drift': -0.024896860122680664,
    'reconstruction': 0.6721291542053223,
    'edges': 2.9981000423431396,
    'background': 0.6668481230735779,
    'parsing': 2.991147041320801,
    'landmarks': 0.013357164338231087,
    'shading': 0.1970067322254181,
    'distillation': 0.5793629884719849,
    'contrast': 0.1709134727716446,
    'total_variation': 1.3237831592559814,
}


@dataclass
class Rendered:
    """Inputs of the losses, from fixed seeds."""

    perception: Perception
    same: tuple[bool, ...] = (True, False, False, True)

    def swap(self) -> RenderedSwap:
        generator = torch.Generator().manual_seed(5)
        image, source, target = torch.rand(3, 4, 3, SIZE, SIZE, generator=generator) * 2 - 1
        labels = torch.zeros(4, SIZE, SIZE, dtype=torch.int64)
        labels[:, 8:24, 8:24] = PARTS.index('skin')
        embedding = torch.nn.functional.normalize(torch.randn(4, ID_DIM, generator=generator))
        batch = SwapBatch(source, target, torch.tensor(self.same), labels)
        return RenderedSwap(image.requires_grad_(), batch, labels, (labels > 0)[:, None].float(), embedding, self.perception)


@pytest.fixture
def perception() -> Perception:
    torch.manual_seed(0)
    perception = tiny_perception(teacher_size=SIZE)
    perception.landmarks = TinyLandmarks()
    return perception


def brightness(swap: RenderedSwap) -> torch.Tensor:
    """Squared difference of the mean brightness of swap and target."""
    return (swap.image.mean((1, 2, 3)) - swap.batch.target.mean((1, 2, 3))).square().mean()


@pytest.mark.parametrize('name', SWAPPERS)
def test_a_new_loss_is_one_function_and_one_line(name, monkeypatch, tmp_path):
    monkeypatch.setitem(SWAP_LOSSES, 'brightness', brightness)
    small = small_family(name)
    other = 'noise' if name == 'ddpm' else 'discriminator'  # each parameter group needs a loss
    weights = {**dict.fromkeys(small.schema().weights, 0.0), 'brightness': 1.0, other: 1.0}
    config = small.config.model_copy(update={'model': {**small.config.model, 'weights': weights}})
    engine_config = config.engine.model_copy(update={'steps': 2, 'log_every': 1, 'compile': False, 'accelerator': 'cpu'})
    config = config.model_copy(update={'engine': engine_config})
    torch.manual_seed(0)
    family = build_family(name, config.model, tiny_perception(teacher_size=config.model['size']))
    before = {key: value.clone() for key, value in family.state_dict().items()}
    Engine(config, family, small.loader(), fabric=build_fabric(engine_config), folder=tmp_path).fit()
    journal = (tmp_path / 'journal.jsonl').read_text()
    assert '"train/brightness"' in journal
    assert any(not torch.equal(value, before[key]) for key, value in family.state_dict().items())


def test_the_identity_loss_is_eight_calls_from_the_script(monkeypatch, tmp_path):
    """The calls that the README of models/swap lists."""
    stacks = []

    def recorder(swap: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        stacks.append([frame.name for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(ROOT)])
        return cosine_id_loss(swap, source)

    monkeypatch.setattr('models.cgan.family.cosine_id_loss', recorder)
    engine = small_family('cgan').engine(tmp_path, accelerator='cpu')
    assert complete(engine, 'train.py', lambda: None) == 0
    calls = [name for name in stacks[0] if name != '<dictcomp>']
    expected = ['complete', 'fit', 'train_step', 'forward', 'forward', 'swap_losses', '_id', 'recorder']
    assert calls[calls.index('complete'):] == expected


@pytest.mark.parametrize('config', [CGANConfig, CVAEConfig, DDPMConfig])
def test_each_family_weighs_each_loss(config):
    assert set(SWAP_LOSSES) <= set(config().weights)


@pytest.mark.parametrize('name', SWAP_LOSSES)
def test_a_loss_is_a_finite_differentiable_scalar(name, perception):
    swap = Rendered(perception).swap()
    losses = swap_losses(swap, {name: 1.0})
    assert list(losses) == [name] and losses[name].shape == () and torch.isfinite(losses[name])
    losses[name].backward()
    assert swap.image.grad.abs().sum() > 0


@pytest.mark.parametrize('same', [True, False])
@pytest.mark.parametrize('name', SWAP_LOSSES)
def test_a_batch_of_one_kind_of_pairs_is_finite(name, same, perception):
    loss, = swap_losses(Rendered(perception, (same,) * 4).swap(), {name: 1.0}).values()
    assert torch.isfinite(loss)


def test_losses_of_weight_0_are_not_computed(monkeypatch, perception):
    def fail(swap):
        raise AssertionError('computed')

    for name in SWAP_LOSSES:
        monkeypatch.setitem(SWAP_LOSSES, name, fail)
    swap = Rendered(perception).swap()
    assert swap_losses(swap, dict.fromkeys(SWAP_LOSSES, 0.0)) == {}
    assert swap_losses(swap, dict.fromkeys(SWAP_LOSSES, 1.0), exclude=set(SWAP_LOSSES)) == {}


def test_losses_share_one_pass_of_the_teacher(perception, monkeypatch):
    calls, features = [], perception.teacher.network.features
    monkeypatch.setattr(perception.teacher.network, 'features', lambda images: calls.append(len(images)) or features(images))
    swap_losses(Rendered(perception).swap(), {'id': 1.0, 'id_drift': 1.0, 'id_encoder': 0.0})
    assert len(calls) == 2  # of the swaps and of the targets


def test_landmarks_without_a_detector_name_the_setting(perception):
    perception.landmarks = None
    with pytest.raises(ValueError, match='the loss landmarks needs perception.landmarks'):
        swap_losses(Rendered(perception).swap(), {'landmarks': 1.0})


@pytest.mark.parametrize('name', SWAPPERS)
def test_a_config_lists_the_networks_of_its_losses(name):
    schema = family_types(name)[1]
    assert schema(weights={'distillation': 1.0}).networks() == {'id_encoder', 'parser', 'teacher', 'distillation_teacher'}
    assert schema(weights={'landmarks': 1.0}).networks() == {'id_encoder', 'parser', 'teacher', 'landmarks'}


def test_values_are_those_recorded(perception):
    losses = swap_losses(Rendered(perception).swap(), dict.fromkeys(SWAP_LOSSES, 1.0))
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(RECORDED, rel=1e-5, abs=1e-7)
