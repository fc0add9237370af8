"""Training of a swap family by scripts/train.py, with small frozen networks."""
import os
import signal
from functools import partial

import pytest
import yaml

from experiments.training.engine import Engine
from models.registry import FAMILIES, load_family
from tests.contract.stubs import ID_DIM, tiny_perception

TINY = ['model.size=32', 'model.widths=[8, 16]', 'model.depth=1', f'model.id_dim={ID_DIM}', 'data.batch=2', 'data.workers=0',
        'data.validation_batches=1', 'engine.accelerator=cpu', 'engine.checkpoint_every=2', 'engine.log_every=1']


@pytest.fixture
def train(run_train):
    return run_train


def test_interrupted_run_resumes(train, tmp_path, monkeypatch, capsys):
    run = tmp_path / 'run'
    train_step = Engine.train_step

    def interrupted(engine, *rest):
        images = train_step(engine, *rest)
        if engine.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return images

    with monkeypatch.context() as patch:
        patch.setattr(Engine, 'train_step', interrupted)
        assert train('--family', 'cvae', '--steps', 4, '--out', run, settings=TINY) == 128 + signal.SIGTERM
    errors = capsys.readouterr().err
    assert 'train.py: stopped by SIGTERM at step 3 of 4 and saved' in errors and f'--resume {run}' in errors
    assert 'reconstruction' in errors
    assert train('--resume', run) == 0
    assert capsys.readouterr().out.strip() == str(run / 'family.safetensors')
    assert load_family(run / 'family.safetensors', tiny_perception()).config.size == 32
    assert [path.name for path in sorted((run / 'checkpoints').iterdir())] == ['step-00000003', 'step-00000004']
    resolved = yaml.safe_load((run / 'config.yaml').read_text())
    assert resolved['model']['weights']['id'] > 0 and resolved['engine']['steps'] == 4
    assert train('--family', 'cvae', '--out', run) == 2
    assert 'holds a run already' in capsys.readouterr().err
    assert train('--family', 'cgan', '--resume', run) == 2
    assert f'{run} is a run of cvae, not of cgan' in capsys.readouterr().err


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--family', 'cvae', '--set', 'engine.stepz=3'], 'did you mean steps'),
    (['--family', 'cvae', '--set', 'model.weights.edge=3'], 'did you mean edges'),
    (['--family', 'cvae', '--set', 'model.size=big'], 'size does not fit'),
    (['--family', 'cvae', '--set', 'data.batch=0'], 'the setting data.batch does not fit'),
    (['--family', 'cvae', '--set', 'model.reversed=0.5'], 'name one as perception.reverser'),
    (['--family', 'cvae', '--set', 'model.weights.distillation=1'], 'name one as perception.distillation_teacher'),
    (['--family', 'cvae', '--preset', 'nothing'], "no preset 'nothing'"),
    (['--family', 'cvae', '--data', 'celeba', '--root', 'nowhere'], 'nowhere'),
    (['--family', 'cvae', '--data', 'celeba', '--root', 'one', 'two'], 'cvae is trained on one folder'),
    (['--resume', 'nowhere'], 'nowhere is no run'),
])
def test_invalid_argument_raises_one_sentence(train, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert train(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_is_refused_before_training(train, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert train('--family', 'cvae', '--steps', 1, '--out', tmp_path / 'file' / 'run', settings=TINY) == 2
    error = capsys.readouterr().err
    assert 'cannot be written: a part of the path is a file' in error and error.count('\n') == 1


def test_help_config_lists_the_general_settings_and_the_families(train, capsys):
    assert train('--help-config') == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith('engine.steps (int, >= 1, default 2000): ') for line in lines)
    assert any(line.startswith('data.batch (') for line in lines) and not any(line.startswith('data.crops') for line in lines)
    assert lines[-1].startswith(f'families: {", ".join(FAMILIES)}; ')


@pytest.mark.parametrize(('family', 'keys'), [
    ('cvae', ('model.size', 'data.same_ratio')), ('cut', ('model.layers', 'data.matching.space')),
    ('pix2pixhd', ('model.enhancer', 'data.same_ratio')), ('recognizer', ('model.num_identities', 'data.balanced')),
    ('parser', ('model.occluded', 'data.partition')), ('causes', ('model.width', 'data.validation_batches')),
])
def test_help_config_of_a_family_lists_its_model_and_its_data(train, capsys, family, keys):
    assert train('--help-config', family) == 0
    listed = {line.split(' (')[0] for line in capsys.readouterr().out.splitlines()}
    assert {'engine.steps', *keys} <= listed
    assert ('data.same_ratio' in listed) == (family in ('cvae', 'pix2pixhd'))


@pytest.mark.parametrize(('family', 'settings', 'summary'), [
    ('cvae', TINY, ('parameters of swapper: 0.', 'id 8', '20000 samples, 1 validation batches')),
    ('recognizer', ['model.size=32', 'data.batch=4'], ('parameters of encoder: ', 'margin 1', '2000 samples, 0 validation')),
    ('parser', ['model.size=32', 'data.batch=2'], ('parameters of parser: 0.', 'labels 1, coarse 0.5', '20000 samples')),
    ('causes', ['model.size=32', 'data.batch=2'], ('parameters of reader: 0.', 'causes 1', '20000 samples')),
])
def test_dry_run_prints_a_summary_and_writes_nothing(train, tmp_path, monkeypatch, capsys, family, settings, summary):
    monkeypatch.chdir(tmp_path)
    assert train('--family', family, '--dry-run', settings=[*settings, 'data.workers=0', 'engine.accelerator=cpu']) == 0
    printed = capsys.readouterr().out
    assert all(part in printed for part in summary)
    memory, speed = (float(printed.split(f'{name}: ')[1].split()[0]) for name in ('memory of a step', 'speed'))
    assert 0 <= memory < 4000 and speed > 0
    assert not list(tmp_path.iterdir())


def test_batch_that_exceeds_the_memory_is_refused_in_one_sentence(run_train, tmp_path, capsys):
    train = partial(run_train, '--family', 'cvae', '--out', tmp_path / 'run')
    assert train(settings=['data.batch=100000000']) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'batches of 100000000 samples need' in error and 'set data.batch lower' in error
    assert not (tmp_path / 'run').exists()
