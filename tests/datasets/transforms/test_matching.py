"""Histograms of pairs matched in three color spaces."""
import numpy as np
import pytest
import torch
from PIL import Image

from datasets.transforms.joint import Augmentation
from datasets.transforms.matching import Matching
from datasets.unpaired import unpaired


def image(low: int, high: int) -> torch.Tensor:
    return torch.randint(low, high, (3, 24, 24), generator=torch.Generator().manual_seed(low), dtype=torch.uint8)


@pytest.mark.parametrize('space', ['rgb', 'hsv', 'hls'])
def test_a_matched_image_takes_the_levels_of_the_other(space):
    dark, light = image(0, 100), image(150, 256)
    matched = Matching(space).matched(dark, light)
    assert matched.shape == dark.shape and matched.dtype == torch.uint8
    assert abs(matched.float().mean() - light.float().mean()) < 12
    assert Matching(space, ratio=0.5).matched(dark, light).float().mean() < matched.float().mean()
    unchanged = Matching(space, ratio=0).matched(dark, light).int()
    assert (unchanged - dark.int()).abs().float().mean() < 3  # the way to another color space and back rounds


def test_rgb_matching_gives_each_channel_the_others_distribution():
    dark, light = image(0, 100), image(150, 256)
    matched = Matching('rgb').matched(dark, light).float()
    for channel in range(3):
        quantiles = torch.linspace(0.05, 0.95, 7)
        ours, theirs = matched[channel].quantile(quantiles), light[channel].float().quantile(quantiles)
        assert (ours - theirs).abs().max() < 4


def test_one_of_the_pair_changes_and_chance_says_which():
    a, b, rng = image(0, 100), image(150, 256), np.random.default_rng(0)
    first, second = Matching('rgb', to_a=1.0).draw(a, b, rng)
    assert torch.equal(first, a) and not torch.equal(second, b)
    first, second = Matching('rgb', to_a=0.0).draw(a, b, rng)
    assert not torch.equal(first, a) and torch.equal(second, b)
    assert all(x is y for x, y in zip(Matching().draw(a, b, rng), (a, b)))


def test_unpaired_images_are_matched_as_they_are_loaded(tmp_path):
    for side, level in (('A', 40), ('B', 200)):
        (tmp_path / f'train{side}').mkdir()
        for i in range(12):
            Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(tmp_path / f'train{side}' / f'{i}.png')
    plain = unpaired(tmp_path, 32)[0]
    matched = unpaired(tmp_path, 32, matching=Matching('rgb', to_a=1.0))[0]
    assert plain.b.mean() > 0.4
    assert torch.allclose(matched.b, plain.a, atol=0.02)


def test_crops_stay_inside_the_image():
    draws = [Augmentation(crops=1.0).sample(np.random.default_rng(i)) for i in range(50)]
    assert len({draw.scale for draw in draws}) > 40
    for draw in draws:
        assert 1 <= draw.scale <= 0.748 ** -0.5 + 1e-6
        assert max(map(abs, draw.shift)) <= (draw.scale - 1) / 2 + 1e-6
