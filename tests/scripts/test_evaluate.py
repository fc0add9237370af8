"""scripts/evaluate.py as a researcher calls it, on a few small images."""
import importlib

import pytest
import torch

from configs.resolve import dump
from configs.schema import RunConfig
from experiments.training.checkpoint import save_family
from models.registry import build_family
from tests.datasets.layouts import celeba, image, write

TINY = {'cvae': {'size': 32, 'fold': 2, 'widths': [8, 16], 'depth': 1},
        'cyclegan': {'size': 64, 'width': 8, 'blocks': 1, 'discriminator_width': 8}}


@pytest.fixture
def evaluate():
    module = importlib.import_module('scripts.evaluate')
    return lambda *words: module.main([str(word) for word in words])


def run_of(family, folder):
    """A run folder of an untrained family."""
    torch.manual_seed(0)
    folder.mkdir()
    built = build_family(family, TINY[family], None)
    (folder / 'config.yaml').write_text(dump(RunConfig(family=family, model=built.config.model_dump())))
    save_family(folder / 'family.safetensors', family, built.state_dict(), built.config)
    return folder


def test_a_run_enters_a_table_with_its_sanity_rows(evaluate, tmp_path, capsys):
    run = run_of('cvae', tmp_path / 'run')
    words = ['--run', run, '--count', 4, '--size', 48, '--batch', 4, '--device', 'cpu']
    assert evaluate(*words, '--judge', 'identity-mobilefacenet') == 0
    said = capsys.readouterr().out
    for row in ('copy the target', 'copy the source', 'cut and paste', 'the truth', 'run'):
        assert f'| {row} |' in said
    assert 'was used in training: its figures are biased' in said and 'ID source ↑' in said
    folder, = (run / 'evaluation').glob('synthetic-*')
    assert {'pairs.csv', 'pairs.sha256', 'table.md', 'table.csv', 'table.tex'} <= {path.name for path in folder.iterdir()}


def test_without_another_embedder_identity_is_left_out_and_said(evaluate, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('FACE_WEIGHTS_DIR', str(tmp_path / 'nothing'))
    run = run_of('cvae', tmp_path / 'run')
    assert evaluate('--run', run, '--count', 2, '--size', 48, '--device', 'cpu') == 0
    said = capsys.readouterr().out
    assert 'ID source' not in said and 'was used in training' in said and 'bg L1 ↓' in said
    assert 'pose by five points of the parsing map' in said and 'weights.py fetch pfld-68' in said


def test_a_translator_is_measured_in_both_directions(evaluate, tmp_path, capsys):
    run = run_of('cyclegan', tmp_path / 'run')
    assert evaluate('--run', run, '--protocol', 'translation', '--count', 6, '--batch', 3, '--device', 'cpu', '--judge',
                    'identity-mobilefacenet') == 0
    said = capsys.readouterr().out
    assert all(f'| {row} |' in said for row in ('none a2b', 'none b2a', 'run a2b', 'run b2a')) and 'FD-id ↓' in said
    swapper = run_of('cvae', tmp_path / 'swapper')
    assert evaluate('--run', swapper, '--protocol', 'translation', '--count', 6, '--device', 'cpu') == 2
    assert 'whose task is swap: the protocol translation' in capsys.readouterr().err


def test_verification_by_a_list_and_by_drawn_pairs(evaluate, tmp_path, capsys):
    for person in range(2):
        for number in (1, 2):
            write(tmp_path / 'lfw' / f'P{person}' / f'P{person}_{number:04d}.png', image(person, 64, 64))
    pairs = tmp_path / 'pairs.txt'
    pairs.write_text('2 1\nP0 1 2\nP0 1 P1 1\nP1 1 2\nP0 2 P1 2\n')
    assert evaluate('--protocol', 'verification', '--root', tmp_path / 'lfw', '--pairs', pairs, '--device', 'cpu') == 0
    assert 'on 4 pairs in 2 folds: accuracy 1.0000 ± 0.0000' in capsys.readouterr().out
    celeba(tmp_path / 'celeba')
    assert evaluate('--protocol', 'verification', '--root', tmp_path / 'celeba', '--data', 'celeba', '--device', 'cpu') == 2
    assert 'too few people' in capsys.readouterr().err


@pytest.mark.parametrize(('words', 'message'), [
    (['--run', 'nowhere'], 'nowhere is no run'),
    (['--against', 'nowhere'], 'nowhere is no folder of images'),
    (['--family', 'cvae', '--protocol', 'celeba'], 'say where with --root')])
def test_a_mistake_is_one_sentence(evaluate, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert evaluate(*words, '--device', 'cpu') == 2
    said = capsys.readouterr().err
    assert message in said and said.count('\n') == 1
