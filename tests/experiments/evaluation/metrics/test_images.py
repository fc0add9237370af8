"""Image metrics against scikit-image and scipy."""
import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from experiments.evaluation.metrics.images import MAX_PSNR_DB, diversity, l1, psnr, sharpness, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    first = torch.rand(2, 3, 40, 36, generator=generator) * 2 - 1
    return first, (first + 0.3 * torch.randn(first.shape, generator=generator)).clamp(-1, 1)


def array(image):
    return image.permute(1, 2, 0).double().numpy()


def test_ssim_and_psnr_equal_scikit_image(pair):
    similarity, ratio = ssim(*pair), psnr(*pair)
    for i, (a, b) in enumerate(zip(*([array(image) for image in images] for images in pair))):
        expected = structural_similarity(a, b, data_range=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                         channel_axis=2)
        assert float(similarity[i]) == pytest.approx(expected, abs=1e-5)
        assert float(ratio[i]) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=2), abs=1e-4)


def test_pixels_outside_of_the_mask_are_ignored(pair):
    first, second = pair
    mask = torch.zeros(2, 1, 40, 36)
    mask[..., :20, :] = 1
    assert torch.allclose(l1(first, second, mask), (first - second)[:, :, :20].abs().mean((1, 2, 3)) / 2)
    assert torch.allclose(psnr(first, second, mask), psnr(first[:, :, :20], second[:, :, :20]))
    changed = second.clone()
    changed[:, :, 26:] = 0  # beyond the window of any counted pixel
    assert torch.allclose(ssim(first, second, mask), ssim(first, changed, mask))
    assert not torch.allclose(ssim(first, second), ssim(first, changed))
    assert l1(first, second, torch.zeros_like(mask)).isnan().all()


def test_metrics_of_equal_images(pair):
    first = pair[0]
    assert l1(first, first).eq(0).all() and psnr(first, first).eq(MAX_PSNR_DB).all() and torch.allclose(ssim(first, first),
                                                                                                         torch.ones(2))
    with pytest.raises(ValueError, match='11 pixels'):
        ssim(first[..., :8], first[..., :8])


def test_sharpness_is_the_variance_of_the_laplacian(pair):
    gray = (array(pair[0][0]) * [0.299, 0.587, 0.114]).sum(2) * 127.5
    assert float(sharpness(pair[0])[0]) == pytest.approx(ndimage.laplace(gray, mode='mirror').var(), rel=1e-4)
    blurred = torch.nn.functional.avg_pool2d(pair[0], 3, 1, 1)
    assert (sharpness(blurred) < 0.3 * sharpness(pair[0])).all()


def test_diversity_is_the_mean_over_pairs():
    flat = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1, 1).expand(3, 2, 3, 4, 4)
    assert torch.allclose(diversity(flat), torch.full((2,), np.float32((0.5 + 0.5 + 1) / 3)))
    assert diversity(flat[:1].expand(2, 2, 3, 4, 4)).eq(0).all()
