"""Protocols, sanity rows and evaluation on a few drawn faces, with the networks of the zoo as judges."""
import csv

import numpy as np
import pytest
import torch

from datasets.faces import read_image
from experiments.ablation.tables import from_evaluation
from experiments.evaluation.evaluator import Evaluation, spread
from experiments.evaluation.judges import Judges, choose_embedder
from experiments.evaluation.measures import MEASURES
from experiments.evaluation.protocols.swaps import PAIRS, build_protocol, synthetic
from experiments.evaluation.systems import CopySource, Images, System, sanity_rows
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


def test_sanity_rows_are_what_they_must_be(rows):
    def figure(name, measure):
        return rows[name]['figures'][measure]['mean']

    target, source, truth = 'copy the target', 'copy the source', 'the truth'
    assert rows[target]['figures']['pose']['count'] >= COUNT // 2
    assert figure(target, 'background_l1') == figure(target, 'whole_l1') == figure(target, 'pose') == 0
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


def test_what_is_not_measured_is_said(rows):
    row = rows['the truth']
    assert 'fd_id' in row['figures'] and 'fid' not in row['figures']
    if not weights.entry('inception-fid').path.is_file():
        assert 'weights.py fetch inception-fid' in row['missing']['inception']
    assert row['judges']['identity'] == 'identity-mobilefacenet'
    table = from_evaluation(list(rows.values()), list(MEASURES), list(rows)).markdown()
    assert row['sha256'] in table and 'not measured, lpips' in table and '**' not in table


class Counting(System):
    """Copies the source; breaks at a row, and notes what it was asked for."""

    name, key = 'counting', 'counting'

    def __init__(self, breaks_at=None):
        self.breaks_at, self.asked = breaks_at, []

    def swap(self, seen, *, seed=0):
        if seen.rows[0] == self.breaks_at:
            raise KeyboardInterrupt
        self.asked.append((seen.rows[0], seed))
        return CopySource().swap(seen)


def test_an_evaluation_goes_on_where_it_was_stopped(judges, protocol, tmp_path, rows):
    evaluation = Evaluation(protocol, judges, tmp_path, batch=4, visible=False)
    with pytest.raises(KeyboardInterrupt):
        evaluation.row(Counting(breaks_at=4))
    again = Counting()
    row = evaluation.row(again)
    assert again.asked == [(4, 0)]
    assert evaluation.row(again)['figures'] == row['figures'] and again.asked == [(4, 0)]
    for measure, figure in rows['copy the source']['figures'].items():
        if measure != 'seconds':
            assert row['figures'][measure] == figure


def test_images_of_another_system_enter_the_same_table(judges, protocol, tmp_path, rows):
    for row in range(COUNT):
        write_image(tmp_path / 'theirs' / f'{row:06d}.png', to_uint8(protocol.pairs[row].truth[None])[0])
    evaluation = Evaluation(protocol, judges, tmp_path, batch=4, visible=False)
    figures = evaluation.row(Images('theirs', tmp_path / 'theirs'))['figures']
    assert figures['truth_l1']['mean'] < 1e-6 and figures['id_source'] == pytest.approx(
        rows['the truth']['figures']['id_source'], abs=1e-4)
    (tmp_path / 'theirs' / '000003.png').unlink()
    with pytest.raises(ValueError, match='lacks the image of row 3'):
        evaluation.row(Images('theirs', tmp_path / 'theirs'))


def test_the_list_is_fixed_and_hashed(protocol, tmp_path):
    again, longer, larger = synthetic(SIZE, COUNT), synthetic(SIZE, COUNT + 1), synthetic(64, COUNT)
    assert again.sha256 == protocol.sha256 and again.names == longer.names[:COUNT]
    assert len({protocol.sha256, longer.sha256, larger.sha256}) == 3 and PAIRS >= 1000
    people = [{name.split('/')[0] for name in pair} for pair in longer.names]
    assert all(len(pair) == 2 for pair in people)
    protocol.write(tmp_path)
    with (tmp_path / 'pairs.csv').open() as handle:
        assert [tuple(row) for row in csv.reader(handle)][1:] == list(protocol.names)
    assert protocol.sha256 in (tmp_path / 'pairs.sha256').read_text()


def test_celeba_pairs_are_across_people_of_the_test_partition(tmp_path):
    celeba(tmp_path / 'celeba')
    protocol = build_protocol('celeba', tmp_path / 'list', root=tmp_path / 'celeba', count=10, size=32)
    sample = [protocol.pairs[row] for row in range(10)]
    assert all(int(one.source_label) != int(one.target_label) and not one.same for one in sample)
    assert {int(one.source_label) for one in sample} | {int(one.target_label) for one in sample} == {5, 6}
    assert build_protocol('celeba', tmp_path / 'other', root=tmp_path / 'celeba', count=10, size=32).sha256 == protocol.sha256


def test_two_folders_give_each_target_a_source(tmp_path):
    for folder, count in (('a', 2), ('b', 3)):
        for i in range(count):
            write_image(tmp_path / folder / f'{i}.png', np.full((40, 40, 3), 40 * i, np.uint8))
    protocol = build_protocol('folder', tmp_path / 'list', root=tmp_path / 'a', targets=tmp_path / 'b', size=32)
    assert sorted(target for _, target in protocol.names) == ['b/0.png', 'b/1.png', 'b/2.png']
    source, target = protocol.names[1]
    assert source.startswith('a/')
    shown = to_uint8(protocol.pairs[1].target[None])[0]
    assert abs(int(shown[5, 5, 0]) - int(read_image(tmp_path / target)[5, 5, 0])) <= 1
    with pytest.raises(ValueError, match='--targets'):
        build_protocol('folder', tmp_path / 'list', root=tmp_path / 'a')


def test_nobody_is_judged_by_their_teacher_unless_asked(monkeypatch):
    monkeypatch.setattr(
        'experiments.evaluation.judges.is_available', lambda name: name in ('identity-mobilefacenet', 'mobilefacenet-068')
    )
    assert choose_embedder({'identity-mobilefacenet'}) == 'mobilefacenet-068' == choose_embedder(set())
    assert choose_embedder({'mobilefacenet-068'}) == 'identity-mobilefacenet'
    both = {'identity-mobilefacenet', 'mobilefacenet-068'}
    assert choose_embedder(both) is None
    refused, asked = Judges(trained_with=both), Judges('identity-mobilefacenet', trained_with=both)
    assert 'was used in training' in refused.missing['identity'] and refused.identity(torch.zeros(1, 3, 32, 32)) is None
    assert 'which was used in training' in asked.notes[0] and 'identity' not in asked.missing


def test_an_encoder_that_began_from_another_is_no_stranger_to_what_that_one_taught(monkeypatch):
    monkeypatch.setattr('experiments.evaluation.judges.is_available', lambda name: name.startswith('identity-'))
    assert choose_embedder(set()) == 'identity-mobilefacenet'
    assert choose_embedder({'identity-mobilefacenet'}) is None and choose_embedder({'identity-caricature'}) is None
    asked = Judges('identity-caricature', trained_with={'identity-mobilefacenet'})
    assert 'a near relation of which was used in training' in asked.notes[0]


def test_spread_leaves_out_what_could_not_be_measured():
    assert spread(torch.tensor([1.0, 3.0, float('nan')])) == {'mean': 2.0, 'deviation': 1.0, 'count': 2}
