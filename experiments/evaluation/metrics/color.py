"""Color statistics of the face in CIELAB."""
import torch
from torch import Tensor

from experiments.evaluation.metrics.images import masked_mean

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))  # of linear sRGB
_D65_WHITE = (0.95047, 1.0, 1.08883)  # XYZ, for the observer of 2 degrees


def to_lab(images: Tensor) -> Tensor:
    """sRGB images (B,3,H,W) in [-1,1] -> CIELAB (B,3,H,W) for D65: L in [0,100], a and b about [-110,110] (CIE 15)."""
    rgb = (images + 1) / 2
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp_min(0).pow(2.4), rgb / 12.92)
    xyz = torch.einsum('xc,bchw->bxhw', images.new_tensor(_TO_XYZ), linear) / images.new_tensor(_D65_WHITE)[:, None, None]
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-8).pow(1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def color_statistics(images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in CIELAB of the pixels of a mask (B,1,H,W): (B,3) each, NaN where the mask is empty."""
    lab = to_lab(images)
    mean = torch.stack([masked_mean(channel, mask) for channel in lab.split(1, 1)], 1)  # (B,3)
    variance = torch.stack([masked_mean((channel - center[:, None, None, None]).square(), mask)
                            for channel, center in zip(lab.split(1, 1), mean.unbind(1))], 1)
    return mean, variance.sqrt()


def color_difference(first: Tensor, second: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of the statistics of two images inside a mask, in units of CIELAB: (B,) between the means, the CIE 1976 color
    difference of the mean colors, and (B,) between the standard deviations."""
    (mean, deviation), (other_mean, other_deviation) = color_statistics(first, mask), color_statistics(second, mask)
    return (mean - other_mean).norm(dim=1), (deviation - other_deviation).norm(dim=1)
