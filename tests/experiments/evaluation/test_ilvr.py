"""The figures that say what ILVR's settings do."""
from xml.etree import ElementTree

import pytest
import torch

from experiments.ablation.plots import scatter
from experiments.ablation.tables import Cell, Row, Table
from experiments.benchmarks.inference import denoiser_figures
from experiments.evaluation.ilvr import COLUMNS, against_published, compare, id_similarity
from models.ddpm.ilvr import ILVRConfig
from models.perception.encoders.embedder import Embedder
from models.registry import build_family
from tests.contract.stubs import ID_DIM, TinyEmbedder


@pytest.fixture
def embed():
    torch.manual_seed(1)
    return Embedder(TinyEmbedder(), 'arcface')


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    family = build_family('ddpm', {'size': 16, 'widths': (8, 16), 'attention': 1, 'tokens': 2, 'id_dim': ID_DIM}, None)
    return family.eval().requires_grad_(False).denoiser


@pytest.fixture
def references():
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(2)) - 0.5


def figures_of(images, references, embed):
    with torch.no_grad():
        return id_similarity(images, references, embed(references), 4, embed, 'face')


def test_a_copy_is_faithful_and_does_not_vary(references, embed):
    found = figures_of(references[:, None].expand(3, 2, 3, 16, 16), references, embed)
    assert found['faithfulness'] == pytest.approx(0, abs=1e-6)
    assert found['id_reference'] == pytest.approx(1, abs=1e-5) and found['variety'] == pytest.approx(0, abs=1e-5)


def test_figures_grow_with_what_they_measure(references, embed):
    noise = torch.randn(3, 4, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    little, much = (figures_of(references[:, None] + size * noise, references, embed) for size in (0.05, 0.4))
    assert 0 < little['faithfulness'] < much['faithfulness'] and 0 < little['variety'] < much['variety']
    assert much['id_reference'] < little['id_reference'] < 1
    brighter = figures_of((references + 0.2)[:, None], references, embed)
    assert brighter['faithfulness'] == pytest.approx(0.1, abs=1e-5) and 'variety' not in brighter


def test_settings_are_compared_with_the_same_noise_whatever_the_batch(denoiser, references, embed):
    settings = {'first': ILVRConfig(down=4, steps=3), 'again': ILVRConfig(down=4, steps=3), 'coarse': ILVRConfig(down=8, steps=3)}
    first, again, coarse = compare(denoiser, references, settings, embed, count=2, batch=4)
    assert first.images.shape == (3, 2, 3, 16, 16) and set(first.row.cells) == set(COLUMNS)
    torch.testing.assert_close(first.images, again.images)
    assert not torch.equal(first.images, coarse.images)
    assert not torch.equal(first.images[:, 0], first.images[:, 1]), 'samples of one reference differ'
    assert first.row.cells['faithfulness'].mean < 0.01 and first.row.cells['evaluations'].mean == 3
    text = Table([made.row for made in (first, again, coarse)], COLUMNS).markdown()
    assert 'low-pass error' in text and '| coarse |' in text


def test_the_authors_sampler_against_ours(denoiser, references, embed):
    speeds, small = denoiser_figures(denoiser, references, batch=1, repeats=1)
    assert min(speeds.values()) > 0 and {'plain evaluation ms', 'int8 evaluation ms', 'int8 moves'} <= set(speeds)
    found = against_published(denoiser, references, ILVRConfig(down=4, steps=5), embed, batch=2, small=small)
    assert found['published: evaluations'] == 100 and found['int8: evaluations'] == 5 and found['ours: times faster'] > 3
    assert max(found[f'{name}: low-pass error'] for name in ('published', 'ours', 'int8')) < 0.01


def test_a_plot_has_a_dot_for_each_row_with_both_figures():
    rows = [Row('a < b', {'seconds': Cell(1.0), 'variety': Cell(0.1)}), Row('one', {'seconds': Cell(2.0), 'variety': Cell(0.3)}),
            Row('bare', {'seconds': Cell(3.0)})]
    plot = ElementTree.fromstring(scatter(rows, 'seconds', ['variety']))
    groups = [node for node in plot.iter() if node.get('id', '').startswith('point-')]
    points = [next(node.attrib for node in group.iter() if node.tag.endswith('use')) for group in groups]
    assert len(points) == 2 and float(points[0]['x']) < float(points[1]['x']) and float(points[0]['y']) > float(points[1]['y'])
    assert ElementTree.fromstring(scatter(rows[:1], 'seconds', ['variety'])) is not None
