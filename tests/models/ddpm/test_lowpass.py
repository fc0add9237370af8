"""The filter with factors that the published numbers do not cover."""
import pytest
import torch

from models.ddpm.lowpass import known, low_pass, projected, reduced

FACTORS = (1, 2, 3, 5.3, 8, 12, 24, 100)


@pytest.fixture
def images():
    return torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize('factor', FACTORS)
def test_any_factor_keeps_flat_and_slanted_light(images, factor):
    assert reduced(images, factor).shape[2:] == (-(-24 // factor), -(-40 // factor))
    flat = torch.full_like(images, 0.3)
    torch.testing.assert_close(low_pass(flat, factor), flat)
    slope = torch.linspace(-1, 1, 40).expand_as(images)
    middle = slice(8, -8) if factor <= 3 else slice(0, 0)  # away from the mirrored border
    torch.testing.assert_close(low_pass(slope, factor)[..., middle], slope[..., middle], atol=1e-3, rtol=0)


@pytest.mark.parametrize('factor', FACTORS)
def test_what_is_swapped_in_the_projection_is_reduced_to_the_same(images, factor):
    first, second = images
    mixed = first - projected(first, factor) + projected(second, factor)
    torch.testing.assert_close(reduced(mixed, factor), reduced(second, factor), atol=2e-6, rtol=0)
    torch.testing.assert_close(projected(projected(first, factor), factor), projected(first, factor), atol=2e-6, rtol=0)


def test_what_is_hidden_has_no_say_in_the_coarse_content_of_what_is_seen():
    images, mask = torch.rand(2, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[..., 5:] = 1
    repainted = torch.where(mask > 0, images, -images)
    for smooth in (low_pass, projected):
        assert (smooth(images, 4) - smooth(repainted, 4)).abs().amax((1, 2)).max() > 0.1
        torch.testing.assert_close(known(smooth, images, 4, mask), known(smooth, repainted, 4, mask))
        assert torch.equal(known(smooth, images, 4, None), smooth(images, 4))
    even = known(low_pass, torch.full((1, 1, 16, 16), 0.7), 4, mask)
    torch.testing.assert_close(even, 0.7 * mask.expand_as(even))
