"""Histogram matching in three color spaces."""
import numpy as np
import pytest
import torch
from PIL import Image

from datasets.transforms.matching import Matching
from datasets.unpaired import unpaired


def image(low: int, high: int) -> torch.Tensor:
    return torch.randint(low, high, (3, 24, 24), generator=torch.Generator().manual_seed(low), dtype=torch.uint8)


@pytest.mark.parametrize('space', ['rgb', 'hsv', 'hls'])
def test_matched_image_has_the_levels_of_the_reference(space):
    dark, light = image(0, 100), image(150, 256)
    matched = Matching(space).match_histograms(dark, light)
    assert matched.shape == dark.shape and matched.dtype == torch.uint8
    assert abs(matched.float().mean() - light.float().mean()) < 12
    assert Matching(space, ratio=0.5).match_histograms(dark, light).float().mean() < matched.float().mean()
    unchanged = Matching(space, ratio=0).match_histograms(dark, light).int()
    assert (unchanged - dark.int()).abs().float().mean() < 3  # rounding of the conversions of color spaces


def test_rgb_matching_reproduces_the_distribution_of_each_channel():
    dark, light = image(0, 100), image(150, 256)
    matched = Matching('rgb').match_histograms(dark, light).float()
    for channel in range(3):
        quantiles = torch.linspace(0.05, 0.95, 7)
        actual, expected = matched[channel].quantile(quantiles), light[channel].float().quantile(quantiles)
        assert (actual - expected).abs().max() < 4


def test_one_image_of_the_pair_is_matched_at_random():
    a, b, rng = image(0, 100), image(150, 256), np.random.default_rng(0)
    first, second = Matching('rgb', to_a=1.0).match_pair(a, b, rng)
    assert torch.equal(first, a) and not torch.equal(second, b)
    first, second = Matching('rgb', to_a=0.0).match_pair(a, b, rng)
    assert not torch.equal(first, a) and torch.equal(second, b)
    assert all(x is y for x, y in zip(Matching().match_pair(a, b, rng), (a, b)))


def test_unpaired_samples_are_matched(tmp_path):
    for side, level in (('A', 40), ('B', 200)):
        (tmp_path / f'train{side}').mkdir()
        for i in range(12):
            Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(tmp_path / f'train{side}' / f'{i}.png')
    plain = unpaired(tmp_path, 32)[0]
    matched = unpaired(tmp_path, 32, matching=Matching('rgb', to_a=1.0))[0]
    assert plain.b.mean() > 0.4
    assert torch.allclose(matched.b, plain.a, atol=0.02)
