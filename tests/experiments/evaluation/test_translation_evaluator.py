"""Evaluation of translation systems on rendered pairs: the identity function and the true translation."""
import pytest
import torch

from datasets.loaders import build_pairs
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.translation import TranslationProtocol
from experiments.evaluation.systems import System, Untranslated
from experiments.evaluation.translation_evaluator import TranslationEvaluation


class TrueTranslation(System):
    """The true translation of each image, looked up by its bytes."""

    name, key = 'truth', '1'

    def __init__(self, truth: dict[bytes, torch.Tensor]):
        self.truth = truth

    def translate(self, images, direction, *, seed=0):
        return torch.stack([self.truth[image.numpy().tobytes()] for image in images])


@pytest.fixture(scope='module')
def judges():
    return Judges('identity-mobilefacenet')


def test_figures_of_untranslated_and_true_images(judges, tmp_path):
    pairs = build_pairs('synthetic', None, 64, 'test')
    pairs.length = 8
    samples = [pairs[row] for row in range(8)]
    truth = {sample.a.numpy().tobytes(): sample.b for sample in samples}

    def figures(system, direction):
        protocol = TranslationProtocol(pairs, 8)
        return TranslationEvaluation(protocol, judges, tmp_path, direction, batch=4, visible=False).row(system)['figures']

    untranslated = {direction: figures(Untranslated(), direction) for direction in ('a2b', 'b2a')}
    true = figures(TrueTranslation(truth), 'a2b')
    none = untranslated['a2b']
    assert none['id_source']['mean'] == pytest.approx(1, abs=1e-5) and none['edges']['mean'] == pytest.approx(1, abs=1e-5)
    assert none['diversity']['mean'] == 0 and none['truth_l1']['mean'] > 0.02
    assert true['truth_l1']['mean'] == 0 and true['color_distance']['mean'] == pytest.approx(0, abs=1e-6)
    assert true['fd_id']['mean'] < 1e-4 < none['fd_id']['mean']
    assert none['color_distance']['mean'] == pytest.approx(untranslated['b2a']['color_distance']['mean'], abs=1e-6)
    assert figures(TrueTranslation({}), 'a2b') == true, 'stored batches are not read'
