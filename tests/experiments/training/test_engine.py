import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments.training.errors import Interrupted, RunError
from models.registry import load_family
from tests.experiments.training.toy import Toy, ToyConfig, toy_batches, toy_engine

SCRIPT = Path(__file__).resolve().parents[1] / 'toy_run.py'  # outside the folder that holds the package `logging`


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def largest_difference(first: dict, second: dict) -> float:
    return max(float((value - second[name]).abs().max()) for name, value in first.items())


def lines(folder: Path, event: str) -> list[dict]:
    return [line for line in map(json.loads, (folder / 'journal.jsonl').read_text().splitlines()) if line['event'] == event]


def resumed(folder: Path, **settings) -> dict:
    """Final weights, EMA weights included, of a run that is taken up again with a family of other random weights."""
    torch.manual_seed(99)
    engine = toy_engine(folder, **settings)
    engine.resume()
    engine.fit()
    return finals(engine)


def finals(engine) -> dict:
    own = {name: value.clone() for name, value in engine.family.state_dict().items()}
    with engine.ema.applied():
        return own | {f'averaged {name}': value.clone() for name, value in engine.family.state_dict().items()}


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> dict:
    """Final weights of 8 uninterrupted steps."""
    torch.set_num_threads(1)
    engine = toy_engine(tmp_path_factory.mktemp('whole') / 'run')
    engine.fit()
    return finals(engine)


def test_a_run_folder_holds_all_that_is_promised(tmp_path):
    engine = toy_engine(tmp_path, image_every=4, validate_every=4, validation=toy_batches(2))
    engine.fit()
    assert 'steps: 8' in (tmp_path / 'config.yaml').read_text()
    assert lines(tmp_path, 'start')[0]['commit']
    assert [line['step'] for line in lines(tmp_path, 'train')] == list(range(1, 9))
    assert {'train/discriminator', 'train/reconstruction', 'train/adversarial', 'lr/painter', 'images_per_second'} <= \
        lines(tmp_path, 'train')[-1].keys()
    assert lines(tmp_path, 'train')[-1].keys() >= {'metrics/brightness', 'grad_norm/discriminator', 'grad_norm/painter'}
    assert lines(tmp_path, 'train')[-1]['grad_norm/painter'] > 0
    assert lines(tmp_path, 'validation')[-1]['validation/reconstruction'] > 0
    assert -1 < lines(tmp_path, 'validation')[-1]['validation/brightness'] < 1
    assert list((tmp_path / 'tensorboard').glob('events.*'))
    with Image.open(tmp_path / 'images' / 'step-00000004.png') as grid:
        assert grid.width > 3 * 8
    assert [path.name for path in sorted((tmp_path / 'checkpoints').iterdir())] == ['step-00000006', 'step-00000008']


def test_the_saved_family_holds_the_averaged_weights(tmp_path):
    engine = toy_engine(tmp_path)
    engine.fit()
    loaded = load_family(tmp_path / 'family.safetensors', None)
    with engine.ema.applied():
        assert equal(loaded.state_dict(), engine.family.state_dict())
    assert not equal(loaded.state_dict(), engine.family.state_dict())
    assert isinstance(loaded, Toy) and loaded.config == engine.family.config


def test_validation_and_images_leave_the_training_untouched(tmp_path, whole):
    engine = toy_engine(tmp_path, image_every=1, validate_every=1, validation=toy_batches(1))
    engine.fit()
    assert equal(finals(engine), whole)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves_and_the_run_goes_on_bitwise(tmp_path, whole, number):
    engine = toy_engine(tmp_path)
    engine.family.after_each = lambda group: engine.step == 4 and group == 'discriminator' and os.kill(os.getpid(), number)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f'--resume {tmp_path}') as caught:
        engine.fit()
    assert caught.value.signal == number
    assert engine.checkpoints.newest().name == 'step-00000005'
    assert signal.getsignal(number) is before
    assert equal(resumed(tmp_path), whole)
    assert [line['step'] for line in lines(tmp_path, 'train')] == list(range(1, 9))


class Killed(BaseException):
    pass


@pytest.mark.parametrize('moment', range(1, 40, 4))
def test_a_death_at_any_write_costs_nothing(tmp_path, monkeypatch, whole, moment):
    """Every file passes through fsync and every new name through replace: the run dies at the n-th of these calls."""
    calls = 0

    def dying(original):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls == moment:
                raise Killed
            return original(*arguments)
        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', dying(os.fsync))
        patch.setattr(os, 'replace', dying(os.replace))
        with pytest.raises(Killed):
            toy_engine(tmp_path).fit()
    assert equal(resumed(tmp_path), whole)
    assert [line['step'] for line in lines(tmp_path, 'train')] == list(range(1, 9))


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_to_all_processes_and_resume_is_bitwise_with_workers(tmp_path, number):
    reference = toy_engine(tmp_path / 'whole', steps=30)
    reference.fit()
    command = [sys.executable, SCRIPT, '--folder', tmp_path / 'killed', '--steps', '30', '--workers', '2', '--sleep', '0.05']
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, 'OMP_NUM_THREADS': '1'}, start_new_session=True)
    deadline = time.monotonic() + 300  # a busy machine takes minutes to import torch
    while not list((tmp_path / 'killed').glob('checkpoints/step-*')) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1 + time.time() % 0.4)  # a moment that differs from run to run
    os.killpg(process.pid, number)
    code = process.wait()
    assert code == -number if number == signal.SIGKILL else code > 0
    saved = [line['step'] for line in lines(tmp_path / 'killed', 'checkpoint')]
    assert saved[-1] < 30
    if number == signal.SIGTERM:  # saved on the way out, and not only at the last planned step
        assert lines(tmp_path / 'killed', 'train')[-1]['step'] <= saved[-1]
    assert equal(resumed(tmp_path / 'killed', steps=30, workers=2), finals(reference))


def test_two_processes_train_as_one(tmp_path):
    command = [sys.executable, SCRIPT, '--folder', tmp_path / 'two', '--steps', '8', '--devices', '2', '--plain']
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / 'two' / f'rank-{rank}.pt', weights_only=True) for rank in (0, 1))
    one = toy_engine(tmp_path / 'one', batch=8, model={'plain': True})
    start = {name: value.clone() for name, value in one.family.state_dict().items()}
    one.fit()
    assert equal(first, second)
    assert largest_difference(first, one.family.state_dict()) < 1e-6 < 1e-4 < largest_difference(first, start)
    for both, alone in zip(lines(tmp_path / 'two', 'train'), lines(tmp_path / 'one', 'train'), strict=True):
        assert both['train/reconstruction'] == pytest.approx(alone['train/reconstruction'], abs=1e-5)


def test_micro_batches_add_up_to_the_batch(tmp_path):
    small = toy_engine(tmp_path / 'small', batch=4, accumulate=2, model={'plain': True})
    large = toy_engine(tmp_path / 'large', batch=8, model={'plain': True})
    small.fit()
    large.fit()
    assert largest_difference(small.family.state_dict(), large.family.state_dict()) < 1e-6


def test_each_group_has_its_own_optimizer_and_moves_alone(tmp_path):
    engine = toy_engine(tmp_path, param_groups={'discriminator': {'name': 'sgd', 'lr': 1e-30}}, steps=2)
    order = []
    engine.family.after_each = order.append
    start = {name: value.clone() for name, value in engine.family.named_parameters()}
    engine.fit()
    assert order == ['discriminator', 'painter'] * 2
    moved = {name.split('.')[0] for name, value in engine.family.named_parameters() if not torch.equal(value, start[name])}
    assert moved == {'painter'}


def test_a_group_can_be_updated_less_often(tmp_path):
    engine = toy_engine(tmp_path, param_groups={'painter': {'every': 3}}, steps=7)
    order = []
    engine.family.after_each = order.append
    engine.fit()
    assert order.count('discriminator') == 7 and order.count('painter') == 3
    assert order[:2] == ['discriminator', 'painter'] and order[2:4] == ['discriminator', 'discriminator']


def test_clipping_bounds_an_update(tmp_path):
    plain = {'name': 'sgd', 'lr': 1.0, 'betas': [0, 0]}
    engine = toy_engine(tmp_path, param_groups={'default': plain}, clip=0.01, steps=1)
    start = {name: value.clone() for name, value in engine.family.named_parameters()}
    engine.fit()
    parts = [(value - start[name]).detach().norm() for name, value in engine.family.painter.named_parameters(prefix='painter')]
    assert float(torch.stack(parts).norm()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize('settings', [{'precision': 'bf16-mixed'}, {'channels_last': True}])
def test_other_arithmetic_trains_to_nearly_the_same(tmp_path, whole, settings):
    engine = toy_engine(tmp_path, **settings)
    engine.fit()
    assert all(value.dtype == torch.float32 for value in engine.family.parameters())
    assert largest_difference(finals(engine), whole) < 0.05
    assert equal(resumed(tmp_path, **settings), finals(engine))


@pytest.mark.slow
def test_a_compiled_family_trains_to_nearly_the_same(tmp_path):
    engines = [toy_engine(tmp_path / str(compiled), model={'plain': True}, compile=compiled) for compiled in (False, True)]
    for engine in engines:
        engine.fit()
    assert largest_difference(*(engine.family.state_dict() for engine in engines)) < 1e-4


def test_a_loss_that_is_not_finite_stops_with_its_name(tmp_path):
    engine = toy_engine(tmp_path, model={'broken_at': 4})
    with pytest.raises(RunError, match=r"'reconstruction' was not finite at step 5.*step-00000004"):
        engine.fit()
    assert engine.checkpoints.newest().name == 'step-00000004'


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    engine = toy_engine(tmp_path)

    def spoil(group):
        if engine.step == 5 and group == 'painter':
            engine.family.painter[4].bias.data.fill_(float('nan'))

    engine.family.after_each = spoil
    with pytest.raises(RunError, match=r'painter\.4\.bias is not finite after step 6.*step-00000004'):
        engine.fit()
    assert engine.checkpoints.newest().name == 'step-00000004'


def test_a_full_disk_is_one_sentence_and_the_old_checkpoint_stays(tmp_path, monkeypatch, whole):
    engine = toy_engine(tmp_path)
    fsync = os.fsync

    def full(descriptor):
        if engine.step == 6:
            raise OSError(28, 'No space left on device')
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(RunError, match=r'step 6 .*No space left on device.*free some space.*step-00000004$') as caught:
            engine.fit()
    assert '\n' not in str(caught.value)
    assert sorted(path.name for path in (tmp_path / 'checkpoints').iterdir()) == ['step-00000002', 'step-00000004']
    assert equal(resumed(tmp_path), whole)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(RunError, match=r'cannot be written: .*there is no checkpoint yet$'):
        toy_engine(tmp_path / 'file' / 'run').fit()


class Nameless(Toy):
    def forward(self, group, batch, step, cache):
        return {'mystery': super().forward(group, batch, step, cache).popitem()[1]}


class Twice(Toy):
    def forward(self, group, batch, step, cache):
        return {'discriminator': super().forward(group, batch, step, cache).popitem()[1]}


@pytest.mark.parametrize(('settings', 'message'), [
    ({'family': Nameless}, "'mystery', which has no weight"),
    ({'family': Twice}, "discriminator and painter both return a loss 'discriminator'"),
    ({'model': {'weights': {**ToyConfig().weights, 'reconstructon': 1.0}}}, "did you mean 'reconstruction'"),
    ({'param_groups': {'pianter': {}}}, 'param_groups.pianter is set but the family has only: discriminator, painter'),
    ({'accelerator': 'mps' if torch.cuda.is_available() else 'cuda'}, 'does not work on this machine'),
    ({'best': 'validation/x'}, 'needs validation images'),
    ({'best': 'validation/x', 'validation': toy_batches(1)}, 'is not measured; there are: validation/discriminator'),
])
def test_mistakes_are_named(tmp_path, settings, message):
    with pytest.raises(RunError, match=message):
        toy_engine(tmp_path, **settings).fit()


def test_resuming_with_another_model_is_refused(tmp_path):
    toy_engine(tmp_path, steps=2).fit()
    with pytest.raises(RunError, match='leave data, model and parameter groups as they were'):
        toy_engine(tmp_path, model={'plain': True}).resume()


def test_the_best_checkpoint_stays(tmp_path):
    engine = toy_engine(tmp_path, validation=toy_batches(1), keep=1, best='validation/discriminator', steps=8,
                        param_groups={'discriminator': {'lr': 1e-2}, 'painter': {'lr': 1e-30}})
    engine.fit()
    figures = {line['step']: line['validation/discriminator'] for line in lines(tmp_path, 'validation')}
    expected = {min(figures, key=lambda step: (figures[step], -step)), 8}
    assert {int(path.name.removeprefix('step-')) for path in engine.checkpoints.all()} == expected
