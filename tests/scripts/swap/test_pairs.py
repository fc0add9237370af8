"""Swaps of a list of aligned images by scripts/swap.py --pairs, with a stub for the trained family."""
import csv

import numpy as np
import pytest

from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import inspect
from tests.models.stubs import photo

PAIRS = ((1, 2), (3, 2), (2, 3))  # source, target


@pytest.fixture
def celeba(tmp_path):
    """Three aligned images in the layout of CelebA and a list of three pairs."""
    for index in (1, 2, 3):
        write_image(tmp_path / 'img_align_celeba' / f'00000{index}.png', photo(218, 178, seed=index))
    with (tmp_path / 'pairs.csv').open('w', newline='') as handle:
        rows = csv.writer(handle)
        rows.writerow(['source', 'target'])
        rows.writerows((f'00000{source}.png', f'00000{target}.png') for source, target in PAIRS)
    return tmp_path


@pytest.fixture
def run_pairs(run, celeba):
    return lambda *more: run('--pairs', celeba / 'pairs.csv', '--root', celeba, '-o', celeba / 'out', *more)


def test_square_is_written_into_target_canvas(run_pairs, stub_family, celeba):
    stub_family(lambda batch: batch.source)
    assert run_pairs('--batch', 2) == 0
    assert not inspect(celeba / 'out' / '000000.png').present, 'evaluation data carry no credentials'
    assert sorted(path.name for path in (celeba / 'out').iterdir()) == ['000000.png', '000001.png', '000002.png']
    for index, (source, target) in enumerate(PAIRS):
        expected = photo(218, 178, seed=target)
        expected[60:188, 24:152] = photo(218, 178, seed=source)[60:188, 24:152]
        np.testing.assert_array_equal(read_image(celeba / 'out' / f'{index:06d}.png'), expected)


def test_generated_image_is_resized_to_canvas(run_pairs, stub_family, celeba):
    stub_family(lambda batch: batch.target, size=64)
    assert run_pairs() == 0
    difference = np.abs(read_image(celeba / 'out' / '000000.png').astype(int) - photo(218, 178, seed=2))
    assert difference.mean() < 1 and difference.max() < 25


def test_existing_outputs_are_skipped_without_overwrite(run_pairs, stub_family, celeba):
    batch_sizes, last = stub_family(lambda batch: batch.target), celeba / 'out' / '000002.png'
    assert run_pairs() == 0
    (celeba / 'out' / '000001.png').unlink()
    write_image(last, photo(218, 178, seed=9))
    assert run_pairs() == 0
    assert batch_sizes == [3, 1]
    np.testing.assert_array_equal(read_image(last), photo(218, 178, seed=9))
    assert run_pairs('--overwrite') == 0
    np.testing.assert_array_equal(read_image(last), photo(218, 178, seed=3))


def test_unknown_image_error_is_one_line(run_pairs, stub_family, celeba, capsys):
    stub_family(lambda batch: batch.target)
    (celeba / 'pairs.csv').write_text('source,target\n000001.png,000009.png\n')
    assert run_pairs() == 2
    error = capsys.readouterr().err.strip()
    assert '000009.png' in error and '\n' not in error
