"""Metrics by group of sources: skin tone, groups from a file."""
import pytest
import torch

from experiments.evaluation.evaluator import Evaluation
from experiments.evaluation.groups import read_groups, skin_angles, tone
from experiments.evaluation.judges import Judges
from experiments.evaluation.protocols.swaps import build_protocol
from experiments.evaluation.systems import CopyTarget
from models.batch import PARTS


def test_skin_angles_grow_with_lightness_and_ignore_other_parts():
    skins = torch.tensor([[250, 225, 205], [214, 170, 140], [160, 105, 75], [70, 42, 30]]) / 127.5 - 1
    images = skins[:, :, None, None].expand(4, 3, 8, 8).clone()
    labels = torch.full((4, 8, 8), PARTS.index('skin'))
    angles = skin_angles(images, labels)
    assert (angles.diff() < -10).all()
    assert [tone(float(angle)) for angle in angles[[0, 3]]] == ['very light', 'dark']
    images[:, :, :3], labels[:, :3] = 1.0, PARTS.index('hair')
    torch.testing.assert_close(skin_angles(images, labels), angles)
    assert torch.isnan(skin_angles(images[:1], labels[:1] * 0)).all() and tone(float('nan')) == 'unknown'


def test_rows_of_groups_partition_the_pairs(tmp_path):
    evaluation = Evaluation(build_protocol('synthetic', tmp_path / 'lists', size=64, count=6),
                            Judges('identity-mobilefacenet'), tmp_path, batch=6, visible=False)
    system, names = CopyTarget(), [source for source, _ in evaluation.protocol.names]
    row = evaluation.row(system)
    groups = evaluation.source_groups({name: 'even' if index % 2 else 'odd' for index, name in enumerate(names[:-1])})
    assert set(groups) >= {'odd', 'unknown'}
    rows = evaluation.by_group(row, system, groups)
    assert sum(group['pairs'] for group in rows) == 6
    mean = sum(group['pairs'] * group['figures']['truth_l1']['mean'] for group in rows) / 6
    assert mean == pytest.approx(row['figures']['truth_l1']['mean'], rel=1e-5)
    assert len({group['figures']['truth_l1']['mean'] for group in rows}) > 1


def test_sources_are_grouped_by_skin_tone(tmp_path):
    evaluation = Evaluation(build_protocol('synthetic', tmp_path / 'lists', size=64, count=6),
                            Judges('identity-mobilefacenet'), tmp_path, batch=6, visible=False)
    assert len(evaluation.source_groups()) == 6


def test_files_without_the_columns_are_refused(tmp_path):
    path = tmp_path / 'groups.csv'
    path.write_text('file,gender\na.jpg,x\n')
    with pytest.raises(ValueError, match='columns file and group'):
        read_groups(path)
