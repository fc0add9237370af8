"""Commands of prepare_data.py and benchmark.py."""
import numpy as np
import pytest
import torch

from datasets import cache
from datasets.loaders import build_swaps
from datasets.registry import build_faces
from datasets.samples.parsing import open_labeled
from datasets.transforms.joint import face_frame
from experiments.benchmarks import data as benchmarks
from models.perception.build import fingerprint, load_embedder
from scripts import benchmark, prepare_data
from tests.datasets import layouts


def test_pack_and_embed_write_a_cache_for_training(tmp_path, capsys):
    layouts.celeba(tmp_path / 'celeba')
    pack = ['pack', '--data', 'celeba', '--root', str(tmp_path / 'celeba'), '-o', str(tmp_path / 'cache'), '--workers', '0']
    assert prepare_data.main([*pack, '--size', '48']) == 0
    assert '21 images of 7 identities' in capsys.readouterr().out
    assert build_swaps('cache', tmp_path / 'cache', 48, 'train')[0].target.shape == (3, 48, 48)
    assert prepare_data.main(['embed', str(tmp_path / 'cache')]) == 0
    sample = build_swaps('cache', tmp_path / 'cache', 48, 'test', encoder=fingerprint('identity-mobilefacenet'))[0]
    with torch.no_grad():
        expected = load_embedder('identity-mobilefacenet')(sample.source[None])[0]
    torch.testing.assert_close(sample.source_embedding, expected, atol=1e-4, rtol=0)
    assert prepare_data.main([*pack, '--size', '64']) == 2
    assert 'give another folder' in capsys.readouterr().err


def test_pseudo_labels_are_training_data_of_the_parser(tmp_path, capsys):
    layouts.celeba(tmp_path / 'celeba')
    assert prepare_data.main(['pseudo-labels', '--root', str(tmp_path / 'celeba'), '-o', str(tmp_path / 'cache'), '--parser',
                              'parsing-unet', '--workers', '0']) == 0
    assert '21 images with parsing maps' in capsys.readouterr().out
    assert not open_labeled(tmp_path / 'cache')[1]  # labels of all parts


@pytest.mark.parametrize('arguments', [['faces', '{}/nowhere'], ['faces', '{}'], ['pack', '--data', 'celeba', '--root', '{}']])
def test_errors_are_one_sentence(tmp_path, capsys, arguments):
    arguments = [argument.format(tmp_path) for argument in arguments]
    assert prepare_data.main([*arguments, '-o', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and str(tmp_path) in error and 'Traceback' not in error


def test_benchmark_of_loading_prints_rates_and_their_ratio(tmp_path, capsys, monkeypatch):
    original = benchmarks.write_rendered_faces
    monkeypatch.setattr(benchmarks, 'write_rendered_faces', lambda folder, count: original(folder, 60))
    assert benchmark.main(['data', '--workers', '0', '--seconds', '0.3', '--repeats', '1']) == 0
    lines = [line.rsplit('  ', 1) for line in capsys.readouterr().out.splitlines()]
    figures = {name.strip(): float(value) for name, value in lines}
    assert figures['images'] == 60
    ratio = figures['cached images/s'] / figures['decoded images/s']
    assert figures['ratio'] == pytest.approx(ratio, abs=0.1) and ratio > 1
    assert benchmark.main(['data', '--data', 'celeba', '--root', str(tmp_path)]) == 2


def test_benchmark_of_rendering_prints_median_and_best(capsys):
    assert benchmark.main(['synthetic', '--size', '32', '--seconds', '0.05', '--repeats', '3']) == 0
    median, best = (float(line.rsplit(None, 1)[1]) for line in capsys.readouterr().out.splitlines())
    assert 0 < median <= best


def test_reversed_pairs_of_the_zoo_are_added_to_a_cache_once(tmp_path, capsys):
    cache.pack(build_faces('celeba', layouts.celeba(tmp_path / 'celeba')), tmp_path / 'cache', face_frame(32))
    command = ['reverse', str(tmp_path / 'cache'), '--per-image', '1']
    assert prepare_data.main(command) == 2
    assert 'no parsing maps; add them with scripts/prepare_data.py label' in capsys.readouterr().err
    assert prepare_data.main(['label', str(tmp_path / 'cache')]) == 0
    capsys.readouterr()
    for _ in range(2):
        assert prepare_data.main(command) == 0
        assert '12 reversed pairs' in capsys.readouterr().out
    assert np.load(tmp_path / 'cache' / 'reversed-images.npy', mmap_mode='r').shape == (12, 3, 32, 32)
    assert prepare_data.main([*command, '--weights', 'identity-mobilefacenet']) == 2
    error = capsys.readouterr().err
    assert error.startswith('prepare_data.py: ') and error.count('\n') == 1
