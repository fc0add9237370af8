"""Swap protocols and their evaluation on a few rendered faces, with the networks of the zoo as judges."""
import csv
import json

import numpy as np
import pytest
import torch

from datasets.faces import read_image
from experiments.evaluation.aggregation import spread
from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.judges import Judges, choose_embedder
from experiments.evaluation.measures import MEASURES
from experiments.evaluation.protocols.swaps import DEFAULT_PAIR_COUNT, build_protocol, synthetic
from experiments.evaluation.systems import CopySource, Images, System, sanity_rows
from experiments.evaluation.tables import from_evaluation
from models import weights
from models.images import to_uint8
from models.pipelines.io.images import write_image
from tests.datasets.layouts import celeba

COUNT, SIZE = 6, 48


@pytest.fixture(scope='module')
def judges():
    return Judges('identity-mobilefacenet')


@pytest.fixture(scope='module')
def protocol():
    return synthetic(SIZE, COUNT)


@pytest.fixture(scope='module')
def rows(judges, protocol, tmp_path_factory):
    evaluation = Evaluation(protocol, judges, tmp_path_factory.mktemp('evaluation'), batch=4, visible=False)
    return {system.name: evaluation.row(system) for system in sanity_rows(truth=True)}


def test_figures_of_sanity_baselines(rows):
    def figure(name, measure):
        return rows[name]['figures'][measure]['mean']

    target, source, truth = 'copy the target', 'copy the source', 'the truth'
    assert rows[target]['figures']['pose']['count'] >= COUNT // 2
    assert figure(target, 'background_l1') == figure(target, 'whole_l1') == figure(target, 'pose') == 0
    assert figure(target, 'color_mean') == figure(target, 'color_deviation') == 0 < figure('copy the source', 'color_mean')
    assert figure('the truth', 'color_mean') == pytest.approx(figure('copy the source', 'truth_color_mean'), abs=1e-3)
    assert figure(target, 'fd_lite0') < figure('the truth', 'fd_lite0') < figure('copy the source', 'fd_lite0')
    assert figure(target, 'id_target') == pytest.approx(1, abs=1e-5) and figure(target, 'sharpness') == pytest.approx(1)
    assert figure(source, 'id_source') == pytest.approx(1, abs=1e-5) and figure(source, 'nearest') == 1
    assert figure(truth, 'truth_l1') == 0 and figure(truth, 'truth_ssim') == pytest.approx(1) and figure(truth, 'truth_id') > 0.99
    for name in (target, source, 'cut and paste'):
        assert figure(name, 'truth_l1') > 0.005
    assert figure('cut and paste', 'background_l1') < 0.2 * figure(source, 'background_l1')
    assert figure('cut and paste', 'id_source') > figure(target, 'id_source')
    assert figure('cut and paste', 'pasted_background_l1') < 0.01
    assert figure(source, 'pasted_background_l1') < 0.5 * figure(source, 'background_l1')
    assert set().union(*(row['figures'] for row in rows.values())) <= set(MEASURES)


def test_missing_metrics_are_noted(rows):
    row = rows['the truth']
    assert 'fd_id' in row['figures'] and 'fid' not in row['figures']
    if not weights.entry('inception-fid').path.is_file():
        assert 'weights.py fetch inception-fid' in row['missing']['inception']
    assert row['judges']['identity'] == 'identity-mobilefacenet'
    table = from_evaluation(list(rows.values()), list(MEASURES), list(rows)).markdown()
    assert row['sha256'] in table and 'not measured, lpips' in table and '**' not in table


class RecordingSystem(System):
    """Copies the source, records the calls, and is interrupted at a row."""

    name, key = 'recording', 'recording'

    def __init__(self, interrupted_at=None):
        self.interrupted_at, self.calls = interrupted_at, []

    def swap(self, pairs, *, seed=0):
        if pairs.rows[0] == self.interrupted_at:
            raise KeyboardInterrupt
        self.calls.append((pairs.rows[0], seed))
        return CopySource().swap(pairs)


def test_interrupted_evaluations_resume(judges, protocol, tmp_path, rows):
    evaluation = Evaluation(protocol, judges, tmp_path, batch=4, visible=False)
    with pytest.raises(KeyboardInterrupt):
        evaluation.row(RecordingSystem(interrupted_at=4))
    system = RecordingSystem()
    row = evaluation.row(system)
    assert system.calls == [(4, 0)]
    assert evaluation.row(system)['figures'] == row['figures'] and system.calls == [(4, 0)]
    for measure, figure in rows['copy the source']['figures'].items():
        if measure != 'seconds':
            assert row['figures'][measure] == figure


def test_images_of_another_system_are_evaluated(judges, protocol, tmp_path, rows):
    for row in range(COUNT):
        write_image(tmp_path / 'other' / f'{row:06d}.png', to_uint8(protocol.pairs[row].truth[None])[0])
    evaluation = Evaluation(protocol, judges, tmp_path, batch=4, visible=False)
    figures = evaluation.row(Images('other', tmp_path / 'other'))['figures']
    assert figures['truth_l1']['mean'] < 1e-6 and figures['id_source'] == pytest.approx(
        rows['the truth']['figures']['id_source'], abs=1e-4)
    (tmp_path / 'other' / '000003.png').unlink()
    with pytest.raises(ValueError, match='lacks the image of row 3'):
        evaluation.row(Images('other', tmp_path / 'other'))


def test_lists_are_fixed_and_hashed(protocol, tmp_path):
    equal, longer, larger = synthetic(SIZE, COUNT), synthetic(SIZE, COUNT + 1), synthetic(64, COUNT)
    assert equal.sha256 == protocol.sha256 and equal.names == longer.names[:COUNT]
    assert len({protocol.sha256, longer.sha256, larger.sha256}) == 3 and DEFAULT_PAIR_COUNT >= 1000
    identities = [{name.split('/')[0] for name in pair} for pair in longer.names]
    assert all(len(pair) == 2 for pair in identities)
    protocol.write(tmp_path)
    with (tmp_path / 'pairs.csv').open() as handle:
        assert [tuple(row) for row in csv.reader(handle)][1:] == list(protocol.names)
    assert protocol.sha256 in (tmp_path / 'pairs.sha256').read_text()


def test_celeba_pairs_have_two_identities_of_the_test_partition(tmp_path):
    celeba(tmp_path / 'celeba')
    protocol = build_protocol('celeba', tmp_path / 'list', root=tmp_path / 'celeba', count=10, size=32)
    pairs = [protocol.pairs[row] for row in range(10)]
    assert all(int(pair.source_label) != int(pair.target_label) and not pair.same for pair in pairs)
    assert {int(pair.source_label) for pair in pairs} | {int(pair.target_label) for pair in pairs} == {5, 6}
    assert build_protocol('celeba', tmp_path / 'other', root=tmp_path / 'celeba', count=10, size=32).sha256 == protocol.sha256


def test_two_folders_pair_each_target_with_a_source(tmp_path):
    for folder, count in (('a', 2), ('b', 3)):
        for i in range(count):
            write_image(tmp_path / folder / f'{i}.png', np.full((40, 40, 3), 40 * i, np.uint8))
    protocol = build_protocol('folder', tmp_path / 'list', root=tmp_path / 'a', targets=tmp_path / 'b', size=32)
    assert sorted(target for _, target in protocol.names) == ['b/0.png', 'b/1.png', 'b/2.png']
    source, target = protocol.names[1]
    assert source.startswith('a/')
    pixels = to_uint8(protocol.pairs[1].target[None])[0]
    assert abs(int(pixels[5, 5, 0]) - int(read_image(tmp_path / target)[5, 5, 0])) <= 1
    with pytest.raises(ValueError, match='--targets'):
        build_protocol('folder', tmp_path / 'list', root=tmp_path / 'a')


def test_embedders_used_in_training_judge_only_on_request(monkeypatch):
    monkeypatch.setattr(
        'experiments.evaluation.judges.is_available', lambda name: name in ('identity-mobilefacenet', 'mobilefacenet-068')
    )
    assert choose_embedder({'identity-mobilefacenet'}) == 'mobilefacenet-068' == choose_embedder(set())
    assert choose_embedder({'mobilefacenet-068'}) == 'identity-mobilefacenet'
    both = {'identity-mobilefacenet', 'mobilefacenet-068'}
    assert choose_embedder(both) is None
    refused, requested = Judges(trained_with=both), Judges('identity-mobilefacenet', trained_with=both)
    assert 'was used in training' in refused.missing['identity'] and refused.identity(torch.zeros(1, 3, 32, 32)) is None
    assert 'which was used in training' in requested.notes[0] and 'identity' not in requested.missing


def test_fine_tuned_embedders_depend_on_their_initialization(monkeypatch):
    monkeypatch.setattr('experiments.evaluation.judges.is_available', lambda name: name.startswith('identity-'))
    assert choose_embedder(set()) == 'identity-mobilefacenet'
    assert choose_embedder({'identity-mobilefacenet'}) is None and choose_embedder({'identity-caricature'}) is None
    judges = Judges('identity-caricature', trained_with={'identity-mobilefacenet'})
    assert 'whose initialization or fine-tuned form was used in training' in judges.notes[0]


def test_spread_ignores_nan():
    assert spread(torch.tensor([1.0, 3.0, float('nan')])) == {'mean': 2.0, 'deviation': 1.0, 'count': 2}


def test_stored_rows_of_earlier_versions_have_new_names(judges, protocol, tmp_path):
    evaluation, system = Evaluation(protocol, judges, tmp_path, batch=4, visible=False), CopySource()
    evaluation.row(system)
    file, = tmp_path.rglob('row.json')
    row = json.loads(file.read_text())
    file.write_text(json.dumps({**row, 'figures': {'colour_distance': row['figures']['truth_l1']}}))
    assert list(evaluation.row(system)['figures']) == ['color_distance']
