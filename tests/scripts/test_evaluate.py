"""scripts/evaluate.py on a few small images: swaps, translations, verification, errors."""
import importlib

import pytest
import torch

from configs.resolve import dump
from configs.schema import RunConfig
from experiments.training.state.checkpoint import save_family
from models.registry import build_family
from tests.datasets.layouts import celeba, image, write

TINY = {'cvae': {'size': 32, 'fold': 2, 'widths': [8, 16], 'depth': 1},
        'cyclegan': {'size': 64, 'width': 8, 'blocks': 1, 'discriminator_width': 8}}


@pytest.fixture
def evaluate():
    module = importlib.import_module('scripts.evaluate')
    return lambda *arguments: module.main([str(argument) for argument in arguments])


def write_run(family, folder):
    """A run folder of an untrained family."""
    torch.manual_seed(0)
    folder.mkdir()
    network = build_family(family, TINY[family], None)
    (folder / 'config.yaml').write_text(dump(RunConfig(family=family, model=network.config.model_dump())))
    save_family(folder / 'family.safetensors', family, network.state_dict(), network.config)
    return folder


def test_tables_of_swaps_have_sanity_baselines(evaluate, tmp_path, capsys):
    run = write_run('cvae', tmp_path / 'run')
    arguments = ['--run', run, '--count', 4, '--size', 48, '--batch', 4, '--device', 'cpu']
    assert evaluate(*arguments, '--judge', 'identity-mobilefacenet') == 0
    output = capsys.readouterr().out
    for row in ('copy the target', 'copy the source', 'cut and paste', 'the truth', 'run'):
        assert f'| {row} |' in output
    assert 'was used in training: its figures are biased' in output and 'ID source ↑' in output
    folder, = (run / 'evaluation').glob('synthetic-*')
    assert {'pairs.csv', 'pairs.sha256', 'table.md', 'table.csv', 'table.tex'} <= {path.name for path in folder.iterdir()}


def test_identity_metrics_need_an_embedder_not_used_in_training(evaluate, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'nothing'))
    run = write_run('cvae', tmp_path / 'run')
    assert evaluate('--run', run, '--count', 2, '--size', 48, '--device', 'cpu') == 0
    output = capsys.readouterr().out
    assert 'ID source' not in output and 'was used in training' in output and 'bg L1 ↓' in output
    assert 'pose by five points of the parsing map' in output and 'weights.py fetch pfld-68' in output


def test_translators_have_a_row_per_direction(evaluate, tmp_path, capsys):
    run = write_run('cyclegan', tmp_path / 'run')
    assert evaluate('--run', run, '--protocol', 'translation', '--count', 6, '--batch', 3, '--device', 'cpu', '--judge',
                    'identity-mobilefacenet') == 0
    output = capsys.readouterr().out
    assert all(f'| {row} |' in output for row in ('none a2b', 'none b2a', 'run a2b', 'run b2a')) and 'FD-id ↓' in output
    swapper = write_run('cvae', tmp_path / 'swapper')
    assert evaluate('--run', swapper, '--protocol', 'translation', '--count', 6, '--device', 'cpu') == 2
    assert 'holds a CVAE, which swaps faces' in capsys.readouterr().err


def test_verification_of_listed_and_random_pairs(evaluate, tmp_path, capsys):
    for identity in range(2):
        for number in (1, 2):
            write(tmp_path / 'lfw' / f'P{identity}' / f'P{identity}_{number:04d}.png', image(identity, 64, 64))
    pairs = tmp_path / 'pairs.txt'
    pairs.write_text('2 1\nP0 1 2\nP0 1 P1 1\nP1 1 2\nP0 2 P1 2\n')
    assert evaluate('--protocol', 'verification', '--root', tmp_path / 'lfw', '--pairs', pairs, '--device', 'cpu') == 0
    assert 'on 4 pairs in 2 folds: accuracy 1.0000 ± 0.0000' in capsys.readouterr().out
    celeba(tmp_path / 'celeba')
    assert evaluate('--protocol', 'verification', '--root', tmp_path / 'celeba', '--data', 'celeba', '--device', 'cpu') == 2
    assert 'too few identities' in capsys.readouterr().err


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--run', 'nowhere'], 'nowhere is no run'),
    (['--against', 'nowhere'], 'nowhere is no folder'),
    (['--family', 'cvae', '--protocol', 'celeba'], 'give their folder with --root')])
def test_errors_are_one_sentence(evaluate, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert evaluate(*arguments, '--device', 'cpu') == 2
    output = capsys.readouterr().err
    assert message in output and output.count('\n') == 1


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--network', 'no-such-network'], 'is neither a file nor a published network; known: '),
    (['--network', '{}/broken.safetensors'], 'cannot be read as safetensors'),
    (['--network', 'parsing-unet', '--root', '{}/nowhere'], 'nowhere'),
    (['--network', 'identity-mobilefacenet', '--root', '{}/nowhere'], 'nowhere'),
])
def test_invalid_network_is_refused_in_one_sentence(evaluate, tmp_path, capsys, arguments, message):
    (tmp_path / 'broken.safetensors').write_bytes(b'broken')
    assert evaluate(*(argument.format(tmp_path) for argument in arguments), '--device', 'cpu') == 2
    error = capsys.readouterr().err
    assert error.startswith('evaluate.py: ') and message in error and error.count('\n') == 1


@pytest.mark.parametrize('arguments', [
    ('--network', 'parsing-unet', '--family', 'cvae'), ('--family', 'cvae', '--root', 'a', 'b'),
])
def test_arguments_that_exclude_each_other_are_refused(evaluate, arguments):
    with pytest.raises(SystemExit):
        evaluate(*arguments)


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--network', 'parsing-unet', '--count', 4), '--count has no effect on --network'),
    (('--network', 'parsing-unet', '--protocol', 'celeba'), '--protocol has no effect on --network'),
    (('--protocol', 'verification', '--root', 'a', '--count', 4), '--count has no effect on the protocol verification'),
    (('--protocol', 'translation', '--family', 'cut', '--by', 'tone'), '--by has no effect on the protocol translation'),
    (('--family', 'cvae', '--root', 'a'), '--root has no effect on the protocol synthetic'),
    (('--family', 'cvae', '--protocol', 'celeba', '--root', 'a', '--targets', 'b'), '--targets has no effect on the protocol'),
    (('--network', 'identity-mobilefacenet', '--data', 'celeba'), 'give --root'),
])
def test_option_without_effect_is_refused(evaluate, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        evaluate(*arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]
