"""Errors of the engine: losses, weights, disk, settings."""
import os

import pytest
import torch

from experiments.training.errors import RunError
from tests.experiments.training.runs import is_equal, resumed
from tests.experiments.training.toy import Toy, ToyConfig, toy_batches, toy_engine


class UnweightedLoss(Toy):
    def forward(self, group, batch, step, cache):
        return {'unweighted': super().forward(group, batch, step, cache).popitem()[1]}


class SharedLoss(Toy):
    def forward(self, group, batch, step, cache):
        return {'discriminator': super().forward(group, batch, step, cache).popitem()[1]}


class ConstantLoss(Toy):
    def forward(self, group, batch, step, cache):
        return {name: loss.detach() for name, loss in super().forward(group, batch, step, cache).items()}


@pytest.mark.parametrize(('settings', 'message'), [
    ({'family': ConstantLoss}, 'the losses of the parameter group discriminator are constant'),
    ({'family': UnweightedLoss}, "'unweighted', which has no weight"),
    ({'family': SharedLoss}, "discriminator and generator both return a loss 'discriminator'"),
    ({'model': {'weights': {**ToyConfig().weights, 'reconstructon': 1.0}}}, "did you mean 'reconstruction'"),
    ({'param_groups': {'genreator': {}}}, 'param_groups.genreator is set but the family has only: discriminator, generator'),
    ({'accelerator': 'mps' if torch.cuda.is_available() else 'cuda'}, 'does not work on this machine'),
    ({'best': 'validation/x'}, 'needs validation images'),
    ({'best': 'validation/x', 'validation': toy_batches(1)}, 'is not measured; there are: validation/discriminator'),
])
def test_invalid_settings_raise_run_error(tmp_path, settings, message):
    with pytest.raises(RunError, match=message):
        toy_engine(tmp_path, **settings).fit()


def test_nonfinite_loss_stops_the_run(tmp_path):
    engine = toy_engine(tmp_path, model={'nan_at': 4})
    with pytest.raises(RunError, match=r"'reconstruction' was not finite at step 5.*step-00000004"):
        engine.fit()
    assert engine.checkpoints.newest().name == 'step-00000004'


def test_nonfinite_weights_are_not_saved(tmp_path):
    engine = toy_engine(tmp_path)

    def corrupt(group):
        if engine.step == 5 and group == 'generator':
            engine.family.generator[4].bias.data.fill_(float('nan'))

    engine.family.on_update = corrupt
    with pytest.raises(RunError, match=r'generator\.4\.bias is not finite after step 6.*step-00000004'):
        engine.fit()
    assert engine.checkpoints.newest().name == 'step-00000004'


def test_full_disk_keeps_the_old_checkpoints(tmp_path, monkeypatch, uninterrupted):
    engine = toy_engine(tmp_path)
    fsync = os.fsync

    def fail_at_step_6(descriptor):
        if engine.step == 6:
            raise OSError(28, 'No space left on device')
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', fail_at_step_6)
        with pytest.raises(RunError, match=r'step 6 .*No space left on device.*free some space.*step-00000004$') as raised:
            engine.fit()
    assert '\n' not in str(raised.value)
    assert sorted(path.name for path in (tmp_path / 'checkpoints').iterdir()) == ['step-00000002', 'step-00000004']
    assert is_equal(resumed(tmp_path), uninterrupted)


def test_unwritable_folder_raises_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('no folder')
    with pytest.raises(RunError, match=r'cannot be written: .*there is no checkpoint yet$'):
        toy_engine(tmp_path / 'file' / 'run').fit()


def test_resuming_another_model_is_refused(tmp_path):
    toy_engine(tmp_path, steps=2).fit()
    with pytest.raises(RunError, match='restore the settings of data, model and parameter groups'):
        toy_engine(tmp_path, model={'deterministic': True}).resume()
