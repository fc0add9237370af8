import pytest
import torch

from datasets.loaders import build_pairs
from experiments.judges import Judges
from experiments.protocols.translation import keep, measure_translation


@pytest.fixture(scope='module')
def judges():
    return Judges('identity-mobilefacenet')


def test_no_translation_keeps_everything_and_a_perfect_one_has_the_truth(judges, tmp_path):
    pairs = build_pairs('synthetic', None, 64, 'test')
    pairs.length = 8
    truth = {}
    for row in range(8):
        sample = pairs[row]
        truth[sample.a.numpy().tobytes()] = sample.b

    def perfect(pictures, direction, seed):
        return torch.stack([truth[picture.numpy().tobytes()] for picture in pictures])

    kept = {row['name']: row['figures'] for row in measure_translation('none', '1', keep, pairs, judges, tmp_path, batch=4)}
    made, = measure_translation('perfect', '1', perfect, pairs, judges, tmp_path, directions=('a2b',), batch=4)
    none = kept['none a2b']
    assert none['id_source']['mean'] == pytest.approx(1, abs=1e-5) and none['edges']['mean'] == pytest.approx(1, abs=1e-5)
    assert none['diversity']['mean'] == 0 and none['truth_l1']['mean'] > 0.02
    assert made['figures']['truth_l1']['mean'] == 0 and made['figures']['colour_distance']['mean'] == pytest.approx(0, abs=1e-6)
    assert made['figures']['fd_id']['mean'] < 1e-4 < none['fd_id']['mean']
    assert none['colour_distance']['mean'] == pytest.approx(kept['none b2a']['colour_distance']['mean'], abs=1e-6)
    # Measured before: nothing is translated again.
    again = measure_translation('none', '1', None, pairs, judges, tmp_path, batch=4)
    assert again[0]['figures'] == none
