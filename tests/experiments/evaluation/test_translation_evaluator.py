import pytest
import torch

from datasets.loaders import build_pairs
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.translation import TranslationProtocol
from experiments.evaluation.systems import System, Untranslated
from experiments.evaluation.translation_evaluator import TranslationEvaluation


class Perfect(System):
    """Knows the answer to each image by heart."""

    name, key = 'perfect', '1'

    def __init__(self, truth: dict[bytes, torch.Tensor]):
        self.truth = truth

    def translate(self, images, direction, *, seed=0):
        return torch.stack([self.truth[image.numpy().tobytes()] for image in images])


@pytest.fixture(scope='module')
def judges():
    return Judges('identity-mobilefacenet')


def test_no_translation_keeps_everything_and_a_perfect_one_has_the_truth(judges, tmp_path):
    pairs = build_pairs('synthetic', None, 64, 'test')
    pairs.length = 8
    samples = [pairs[row] for row in range(8)]
    truth = {sample.a.numpy().tobytes(): sample.b for sample in samples}

    def measured(system, direction):
        protocol = TranslationProtocol(pairs, 8)
        return TranslationEvaluation(protocol, judges, tmp_path, direction, batch=4, visible=False).row(system)['figures']

    kept = {direction: measured(Untranslated(), direction) for direction in ('a2b', 'b2a')}
    made = measured(Perfect(truth), 'a2b')
    none = kept['a2b']
    assert none['id_source']['mean'] == pytest.approx(1, abs=1e-5) and none['edges']['mean'] == pytest.approx(1, abs=1e-5)
    assert none['diversity']['mean'] == 0 and none['truth_l1']['mean'] > 0.02
    assert made['truth_l1']['mean'] == 0 and made['color_distance']['mean'] == pytest.approx(0, abs=1e-6)
    assert made['fd_id']['mean'] < 1e-4 < none['fd_id']['mean']
    assert none['color_distance']['mean'] == pytest.approx(kept['b2a']['color_distance']['mean'], abs=1e-6)
    # Measured before: nothing is translated again.
    assert measured(Perfect({}), 'a2b') == made
