"""Comparisons of swap families, translators and identity encoders over seeds."""
import importlib
import json

import pytest

from configs.ablation import AblationConfig
from datasets.registry import build_faces
from experiments.ablation.comparison import compare, compare_encoders
from experiments.ablation.plan import plan
from experiments.ablation.report import report
from experiments.ablation.runner import train_all
from experiments.evaluation.protocols.translation import translation
from tests.datasets.webcaricatures import name_of, webcaricatures
from tests.experiments.ablation.stubs import ENCODERS, Page, ablation, encoder_writer, write_run

JUDGE = 'identity-mobilefacenet'


@pytest.fixture(scope='module')
def caricatures(tmp_path_factory):
    return webcaricatures(tmp_path_factory.mktemp('webcaricature'), size=32)


def test_tables_hold_means_and_deviations_over_seeds(comparison):
    table = comparison.tables[JUDGE]
    rows = {row.name: row for row in table.rows}
    assert list(rows)[:2] == ['base', 'no identity'] and not rows['the truth'].ranked
    assert rows['base'].cells['truth_l1'].deviation > 0 and rows['no identity'].cells['truth_l1'].deviation is None
    assert 0 <= rows['no identity'].cells['background_l1'].p <= 1 and rows['base'].cells['background_l1'].p is None
    assert rows['copy the target'].cells['background_l1'].mean == 0


def test_curves_and_images_are_by_variant(comparison):
    assert comparison.curves['train/kl']['base'] == [(2, 0.5), (4, 0.25)]
    assert list(comparison.images) == ['source', 'target', 'truth', 'base', 'no identity']


def test_translators_have_a_table_per_direction(tmp_path):
    small = {'model.size': 32, 'model.width': 4, 'model.blocks': 1, 'model.discriminator_width': 4,
             'model.discriminator_layers': 2}
    config = ablation(base={'family': 'cyclegan', 'settings': small},
                      variants={'one way': {'family': 'cut', 'settings': {'model.layers': [0, 4]}}})
    runs = plan(config, tmp_path / 'runs')
    train_all(runs, write_run, [{}])
    result = compare('tiny', config, runs, translation(size=40, count=6), tmp_path / 'evaluation', batch=4, visible=False)
    rows = {title: {row.name: row.cells for row in table.rows} for title, table in result.tables.items()}
    assert {title: list(names) for title, names in rows.items()} == {
        f'{JUDGE}, a2b': ['base', 'one way', 'none'], f'{JUDGE}, b2a': ['base', 'none']}
    a2b = rows[f'{JUDGE}, a2b']
    assert a2b['none']['edges'].mean == pytest.approx(1, abs=1e-5) and a2b['base']['truth_l1'].mean > 0.05
    assert 0 <= a2b['one way']['edges'].p <= 1 and a2b['one way']['edges'].mean < 0.9
    assert list(result.images) == ['a', 'base, a2b', 'one way, a2b', 'b', 'base, b2a']
    assert all(images.shape == (2, 3, 40, 40) for images in result.images.values())


def test_encoders_are_compared_with_their_initialization(tmp_path, caricatures, capsys):
    config, faces = AblationConfig(**ENCODERS), build_faces('webcaricature', caricatures)
    runs = plan(config, tmp_path / 'runs')
    train_all(runs, encoder_writer(name_of(0)), [{}])
    result = compare_encoders('tiny', config, runs, faces)
    (table,) = result.tables.values()
    rows = {row.name: row for row in table.rows}
    assert list(rows) == ['base', 'no pairs', 'identity-mobilefacenet, without training']
    initial = rows['identity-mobilefacenet, without training']
    assert not initial.ranked and initial.cells['auc'].deviation is None and 0.5 < initial.cells['auc'].mean <= 1
    assert rows['base'].cells['auc'].deviation > 0 and set(table.columns) <= set(rows['base'].cells)
    page = Page()
    page.feed(report(result))
    assert page.open == [] and 'drawing to photo, rank 1' in ' '.join(page.texts) and 'Images' not in page.texts

    file, out = tmp_path / 'tiny.yaml', tmp_path / 'out'
    file.write_text(json.dumps({**ENCODERS, 'protocol': {'name': 'webcaricature', 'root': str(caricatures)}}))
    script = importlib.import_module('scripts.ablate')
    assert script.main([str(file), '--compare-only', '--runs', str(tmp_path / 'runs'), '-o', str(out)]) == 0
    assert f'{initial.cells["auc"].mean:.3f}' in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {'table.md', 'table.csv', 'table.tex', 'report.html'}


def test_encoders_trained_on_a_test_identity_are_refused(tmp_path, caricatures):
    config, faces = AblationConfig(**ENCODERS), build_faces('webcaricature', caricatures)
    runs = plan(config, tmp_path / 'runs')
    train_all(runs, encoder_writer(name_of(19)), [{}])
    with pytest.raises(ValueError, match='identity 19'):
        compare_encoders('tiny', config, runs, faces)
