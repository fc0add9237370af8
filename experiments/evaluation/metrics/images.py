"""How far two images differ, over all pixels or inside a mask. Images (B,3,H,W) in [-1,1], masks (B,1,H,W) in [0,1]; every
function returns (B,), NaN where the mask is empty."""
import torch
import torch.nn.functional as F
from torch import Tensor

MOST_DECIBEL = 100.0  # what equal images get, whose ratio would be infinite
WINDOW = 11  # side of the window of SSIM in pixels
_SIGMA = 1.5


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B,C,H,W) -> (B,), each pixel weighted by the mask."""
    if mask is None:
        return values.flatten(1).mean(1)
    return (values * mask).flatten(1).sum(1) / (mask.flatten(1).sum(1) * values.shape[1])


def l1(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference in parts of the whole range: 0 equal, 1 black against white."""
    return masked_mean((first - second).abs() / 2, mask)


def psnr(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in decibel, at most MOST_DECIBEL."""
    return (-10 * masked_mean(((first - second) / 2).square(), mask).log10()).clamp(max=MOST_DECIBEL)


def ssim(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity, the mean over all windows; a window counts as much as its middle pixel is in the mask."""
    return window_mean(ssim_map(first, second), mask)


def window_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of an ssim_map under a mask of the whole image."""
    edge = WINDOW // 2
    return masked_mean(values, mask if mask is None else mask[..., edge:-edge, edge:-edge])


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13) of each Gaussian window of 11 pixels that lies wholly in the image:
    (B,3,H-10,W-10). ValueError where the images are too small."""
    if min(first.shape[-2:]) < WINDOW:
        raise ValueError(f'SSIM looks at windows of {WINDOW} pixels; these images have {tuple(first.shape[-2:])}')
    rows, columns = (_windows(side).to(first) for side in first.shape[-2:])

    def mean(x: Tensor) -> Tensor:
        return rows @ x @ columns.t()

    a, b = mean(first), mean(second)
    var_a, var_b, both = mean(first * first) - a * a, mean(second * second) - b * b, mean(first * second) - a * b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    return (2 * a * b + c1) * (2 * both + c2) / ((a * a + b * b + c1) * (var_a + var_b + c2))


def _windows(side: int) -> Tensor:
    """(side-10,side): as a product with this matrix the Gaussian means are many times faster than as a convolution."""
    place = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    kernel = torch.exp(-place.square() / (2 * _SIGMA ** 2))
    table = torch.zeros(side - WINDOW + 1, side, dtype=torch.float64)
    for row in range(len(table)):
        table[row, row:row + WINDOW] = kernel / kernel.sum()
    return table


def sharpness(images: Tensor, mask: Tensor | None = None) -> Tensor:
    """Variance of the Laplacian (4-neighbor) of the luminance in 0..255: low where an image is blurred."""
    gray = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True) * 127.5
    kernel = gray.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    edges = F.conv2d(F.pad(gray, [1] * 4, mode='reflect'), kernel)
    return masked_mean(edges.square(), mask) - masked_mean(edges, mask).square()


def diversity(samples: Tensor) -> Tensor:
    """(K,B,3,H,W), K samples of each of B conditions -> (B,) mean `l1` over all pairs of samples of one condition."""
    if len(samples) < 2:
        raise ValueError('diversity compares at least two samples of each condition')
    first, second = torch.triu_indices(len(samples), len(samples), 1)
    return torch.stack([l1(samples[i], samples[j]) for i, j in zip(first, second)]).mean(0)
