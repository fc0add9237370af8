"""The training loop: files of a run, order of updates, arithmetic."""
import pytest
import torch
from PIL import Image

from models.registry import load_family
from tests.experiments.training.runs import final_state, is_equal, journal, max_difference, resumed
from tests.experiments.training.toy import Toy, toy_batches, toy_engine


def test_run_folder_holds_config_journal_images_and_checkpoints(tmp_path):
    engine = toy_engine(tmp_path, image_every=4, validate_every=4, validation=toy_batches(2))
    engine.fit()
    assert 'steps: 8' in (tmp_path / 'config.yaml').read_text()
    assert list((tmp_path / 'tensorboard').glob('events.*'))
    with Image.open(tmp_path / 'images' / 'step-00000004.png') as grid:
        assert grid.width > 3 * 8
    assert [path.name for path in sorted((tmp_path / 'checkpoints').iterdir())] == ['step-00000006', 'step-00000008']


def test_journal_holds_losses_metrics_and_rates(tmp_path):
    toy_engine(tmp_path, validate_every=4, validation=toy_batches(2)).fit()
    train, validation = journal(tmp_path, 'train'), journal(tmp_path, 'validation')
    assert journal(tmp_path, 'start')[0]['commit']
    assert [line['step'] for line in train] == list(range(1, 9))
    assert train[-1].keys() >= {'train/discriminator', 'train/reconstruction', 'train/adversarial', 'metrics/brightness',
                                'grad_norm/discriminator', 'grad_norm/generator', 'lr/generator', 'images_per_second'}
    assert train[-1]['grad_norm/generator'] > 0 and train[-1]['images_per_second'] > 0
    assert validation[-1]['validation/reconstruction'] > 0 and -1 < validation[-1]['validation/brightness'] < 1


def test_family_file_holds_ema_weights(tmp_path):
    engine = toy_engine(tmp_path)
    engine.fit()
    loaded = load_family(tmp_path / 'family.safetensors', None)
    with engine.ema.applied():
        assert is_equal(loaded.state_dict(), engine.family.state_dict())
    assert not is_equal(loaded.state_dict(), engine.family.state_dict())
    assert isinstance(loaded, Toy) and loaded.config == engine.family.config


def test_validation_and_panels_do_not_change_training(tmp_path, uninterrupted):
    engine = toy_engine(tmp_path, image_every=1, validate_every=1, validation=toy_batches(1))
    engine.fit()
    assert is_equal(final_state(engine), uninterrupted)


def test_accumulated_micro_batches_equal_one_batch(tmp_path):
    small = toy_engine(tmp_path / 'small', batch=4, accumulate=2, model={'deterministic': True})
    large = toy_engine(tmp_path / 'large', batch=8, model={'deterministic': True})
    small.fit()
    large.fit()
    assert max_difference(small.family.state_dict(), large.family.state_dict()) < 1e-6


def test_group_updates_only_its_own_parameters(tmp_path):
    engine = toy_engine(tmp_path, param_groups={'discriminator': {'name': 'sgd', 'lr': 1e-30}}, steps=2)
    order = []
    engine.family.on_update = order.append
    start = {name: value.clone() for name, value in engine.family.named_parameters()}
    engine.fit()
    assert order == ['discriminator', 'generator'] * 2
    changed = {name.split('.')[0] for name, value in engine.family.named_parameters() if not torch.equal(value, start[name])}
    assert changed == {'generator'}


def test_group_is_updated_every_n_steps(tmp_path):
    engine = toy_engine(tmp_path, param_groups={'generator': {'every': 3}}, steps=7)
    order = []
    engine.family.on_update = order.append
    engine.fit()
    assert order.count('discriminator') == 7 and order.count('generator') == 3
    assert order[:2] == ['discriminator', 'generator'] and order[2:4] == ['discriminator', 'discriminator']


def test_gradient_clipping_bounds_an_update(tmp_path):
    sgd = {'name': 'sgd', 'lr': 1.0, 'betas': [0, 0]}
    engine = toy_engine(tmp_path, param_groups={'default': sgd}, clip=0.01, steps=1)
    start = {name: value.clone() for name, value in engine.family.named_parameters()}
    engine.fit()
    parameters = engine.family.generator.named_parameters(prefix='generator')
    norms = [(value - start[name]).detach().norm() for name, value in parameters]
    assert float(torch.stack(norms).norm()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize('settings', [{'precision': 'bf16-mixed'}, {'channels_last': True}])
def test_other_arithmetic_gives_similar_weights_and_resumes_bit_exactly(tmp_path, uninterrupted, settings):
    engine = toy_engine(tmp_path, **settings)
    engine.fit()
    assert all(value.dtype == torch.float32 for value in engine.family.parameters())
    assert max_difference(final_state(engine), uninterrupted) < 0.05
    assert is_equal(resumed(tmp_path, **settings), final_state(engine))


@pytest.mark.slow
def test_compiled_family_gives_similar_weights(tmp_path):
    engines = [toy_engine(tmp_path / str(compiled), model={'deterministic': True}, compile=compiled)
               for compiled in (False, True)]
    for engine in engines:
        engine.fit()
    assert max_difference(*(engine.family.state_dict() for engine in engines)) < 1e-4
