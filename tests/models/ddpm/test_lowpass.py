"""Low-pass filter at factors without published reference values."""
import pytest
import torch

from models.ddpm.lowpass import low_pass, masked, projected, reduced

FACTORS = (1, 2, 3, 5.3, 8, 12, 24, 100)


@pytest.fixture
def images():
    return torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize('factor', FACTORS)
def test_constant_and_linear_images_are_preserved(images, factor):
    assert reduced(images, factor).shape[2:] == (-(-24 // factor), -(-40 // factor))
    flat = torch.full_like(images, 0.3)
    torch.testing.assert_close(low_pass(flat, factor), flat)
    ramp = torch.linspace(-1, 1, 40).expand_as(images)
    middle = slice(8, -8) if factor <= 3 else slice(0, 0)  # away from the mirrored border
    torch.testing.assert_close(low_pass(ramp, factor)[..., middle], ramp[..., middle], atol=1e-3, rtol=0)


@pytest.mark.parametrize('factor', FACTORS)
def test_replacing_the_projection_replaces_the_downsampled_image(images, factor):
    first, second = images
    mixed = first - projected(first, factor) + projected(second, factor)
    torch.testing.assert_close(reduced(mixed, factor), reduced(second, factor), atol=2e-6, rtol=0)
    torch.testing.assert_close(projected(projected(first, factor), factor), projected(first, factor), atol=2e-6, rtol=0)


def test_masked_low_pass_is_independent_of_masked_pixels():
    images, mask = torch.rand(2, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[..., 5:] = 1
    inverted = torch.where(mask > 0, images, -images)
    for smooth in (low_pass, projected):
        assert (smooth(images, 4) - smooth(inverted, 4)).abs().amax((1, 2)).max() > 0.1
        torch.testing.assert_close(masked(smooth, images, 4, mask), masked(smooth, inverted, 4, mask))
        assert torch.equal(masked(smooth, images, 4, None), smooth(images, 4))
    constant = masked(low_pass, torch.full((1, 1, 16, 16), 0.7), 4, mask)
    torch.testing.assert_close(constant, 0.7 * mask.expand_as(constant))
