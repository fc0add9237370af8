"""Comparison of ILVR settings: figures of samples, equal noise for all settings."""
import pytest
import torch

from experiments.evaluation.ilvr import COLUMNS, compare, sample_figures
from experiments.evaluation.tables import Table
from models.ddpm.ilvr import ILVRConfig


def figures_of(images, references, embed):
    with torch.no_grad():
        return sample_figures(images, references, embed(references), 4, embed, 'face')


def test_copies_of_references_have_zero_error_and_variety(references, embed):
    figures = figures_of(references[:, None].expand(3, 2, 3, 16, 16), references, embed)
    assert figures['faithfulness'] == pytest.approx(0, abs=1e-6)
    assert figures['id_reference'] == pytest.approx(1, abs=1e-5) and figures['variety'] == pytest.approx(0, abs=1e-5)


def test_figures_grow_with_noise(references, embed):
    noise = torch.randn(3, 4, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    weak, strong = (figures_of(references[:, None] + scale * noise, references, embed) for scale in (0.05, 0.4))
    assert 0 < weak['faithfulness'] < strong['faithfulness'] and 0 < weak['variety'] < strong['variety']
    assert strong['id_reference'] < weak['id_reference'] < 1
    brighter = figures_of((references + 0.2)[:, None], references, embed)
    assert brighter['faithfulness'] == pytest.approx(0.1, abs=1e-5) and 'variety' not in brighter


def test_settings_share_noise_for_any_batch_size(denoiser, references, embed):
    settings = {'first': ILVRConfig(down=4, steps=3), 'equal': ILVRConfig(down=4, steps=3), 'coarse': ILVRConfig(down=8, steps=3)}
    first, equal, coarse = compare(denoiser, references, settings, embed, count=2, batch=4)
    assert first.images.shape == (3, 2, 3, 16, 16) and set(first.row.cells) == set(COLUMNS)
    torch.testing.assert_close(first.images, equal.images)
    assert not torch.equal(first.images, coarse.images)
    assert not torch.equal(first.images[:, 0], first.images[:, 1]), 'samples of one reference are equal'
    assert first.row.cells['faithfulness'].mean < 0.01 and first.row.cells['evaluations'].mean == 3
    text = Table([samples.row for samples in (first, equal, coarse)], COLUMNS).markdown()
    assert 'low-pass error' in text and '| coarse |' in text
