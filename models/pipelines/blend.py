"""Blending of a generated face into its photo: soft masks, color matching and multi-band mixing."""
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.images import HALF_RANGE

FEATHER_FRACTION = 0.06  # of the side: width of the transition of a mask
EDGE_FRACTION = 0.015  # of the side: the same at gaps thinner than FEATHER_FRACTION
MONOCHROME_TOLERANCE = 8  # levels of 255 by which the channels of a gray pixel may differ after lossy coding
_CLOSING_STRIDE = 4  # mask pixels per pixel of the reduced mask in which gaps are closed
_BORDER_FRACTION = 0.05  # of the side: width over which the mask falls to 0 at the border of the crop
_MIN_ALPHA = 1e-3  # below which a photo keeps its pixels


def _dilate(mask: Tensor, radius: int, outside: float = 0.0) -> Tensor:
    """Maximum of (B,1,S,S) over squares of 2 `radius` + 1 pixels. outside: the value around the crop."""
    padded = F.pad(mask, [radius] * 4, value=outside)
    return F.max_pool2d(F.max_pool2d(padded, (2 * radius + 1, 1), 1), (1, 2 * radius + 1), 1)  # (B,1,S,S)


def _feather(mask: Tensor, radius: int) -> Tensor:
    """Erode (B,1,S,S) in [0,1] by `radius` pixels, then blur it by as many."""
    eroded = 1 - _dilate(1 - mask, radius, outside=1.0)
    taps = torch.arange(-radius, radius + 1, dtype=mask.dtype, device=mask.device) / radius
    kernel = torch.cos(taps * torch.pi / 2).square() + 1e-6
    kernel = kernel / kernel.sum()
    soft = F.conv2d(eroded, kernel.view(1, 1, 1, -1), padding=(0, radius))
    return F.conv2d(soft, kernel.view(1, 1, -1, 1), padding=(radius, 0))  # (B,1,S,S)


def soften(mask: Tensor, feather: float = FEATHER_FRACTION) -> Tensor:
    """Soft mask of a hard mask (B,1,S,S), 0 outside it and at the border of the crop.

    The mask is eroded and blurred over a width of `feather` of the side, or of EDGE_FRACTION around thinner gaps such as letters.
    """
    side = mask.shape[-1]
    radius, edge = (max(1, round(width * side / 2)) for width in (feather, min(EDGE_FRACTION, feather)))
    reach, small = max(1, radius // _CLOSING_STRIDE), F.avg_pool2d(mask, _CLOSING_STRIDE, ceil_mode=True)
    closed = F.interpolate(1 - _dilate(1 - _dilate(small, reach), reach), scale_factor=_CLOSING_STRIDE)[..., :side, :side]
    closed = torch.maximum(mask, closed)
    soft = _feather(closed, radius) * _feather(mask, edge)
    position = torch.arange(side, dtype=mask.dtype, device=mask.device)
    border = (torch.minimum(position, position.flip(0)) / (_BORDER_FRACTION * side)).clamp(max=1)
    border = border * border * (3 - 2 * border)
    return (soft * mask * border * border[:, None]).clamp(0, 1)  # (B,1,S,S)


def color_transfer(swap: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Gain and shift of the CIELAB channels of `swap` that match the colors of `target` inside the mask.

    The means of all channels and the deviation of the lightness become equal (after Reinhard et al. 2001, who match the deviation
    of every channel, which amplifies noise in the colors). The gain is limited to [3/4,4/3], which preserves shading that only
    one face has.

    Args:
        swap, target: images (H,W,3) float32 RGB in [0,1].
        mask: (H,W) in [0,1].

    Returns:
        (2,3): gain, shift.
    """
    first, second = (cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2LAB) for image in (swap, target))
    weight = mask / max(float(mask.sum()), 1e-6)
    mean_first, mean_second = (np.einsum('hwc,hw->c', lab, weight) for lab in (first, second))
    std_first, std_second = (np.sqrt((((lab - mean)[..., 0]) ** 2 * weight).sum())
                             for lab, mean in ((first, mean_first), (second, mean_second)))
    gain = np.array([np.clip(std_second / max(std_first, 1e-3), 0.75, 4 / 3), 1, 1])
    return np.stack([gain, mean_second - gain * mean_first])


def apply_color_transfer(image: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Apply the result (2,3) of `color_transfer` to (H,W,3) float32 RGB in [0,1]."""
    lab = cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2LAB)
    return np.clip(cv2.cvtColor((lab * transfer[0] + transfer[1]).astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)


def match_color(swap: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`swap` with the colors of `target`; arguments are those of `color_transfer`."""
    return apply_color_transfer(swap, color_transfer(swap, target, mask))


def multiband_mix(background: np.ndarray, foreground: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mix images (H,W,3) float32 by a soft mask (H,W) in [0,1], in frequency bands.

    The transition is sharp for fine detail and about FEATHER_FRACTION of the shorter side wide for coarse bands (Burt & Adelson
    1983, applied to the difference of the images). Where the mask is 0, the result equals `background`.
    """
    difference = (foreground - background).astype(np.float32)
    alphas: list[np.ndarray] = [np.clip(mask * 4 - 1.5, 0, 1).astype(np.float32)]
    bands: list[np.ndarray] = []
    for _ in range(max(0, round(np.log2(FEATHER_FRACTION * min(mask.shape))) - 1)):
        small = cv2.pyrDown(difference)
        bands.append(difference - cv2.pyrUp(small, dstsize=difference.shape[1::-1]))
        difference = small
        alphas.append(cv2.pyrDown(alphas[-1]))
    change = difference * alphas.pop()[..., None]
    for band in reversed(bands):
        change = cv2.pyrUp(change, dstsize=band.shape[1::-1]) + band * alphas.pop()[..., None]
    return background + change * np.minimum(mask * 4, 1)[..., None]


def is_monochrome(image: np.ndarray, tolerance: int = MONOCHROME_TOLERANCE) -> bool:
    """Whether no pixel of (H,W,3) uint8 RGB has channels that differ by more than `tolerance` levels."""
    if not image.size:
        return True
    red, green, blue = cv2.split(image)
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    return int(cv2.subtract(high, low).max()) <= tolerance


def to_gray(image: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) of (H,W,3) RGB in three equal channels, with the same shape and dtype."""
    return np.repeat(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def paste(photo: np.ndarray, crop: Tensor, mask: Tensor, points: np.ndarray, coverage: np.ndarray) -> None:
    """Mix an aligned crop into a photo, in place. Pixels where the mask is 0 keep their bytes; the crop is converted to gray if
    the photo is monochrome in that region.

    Args:
        photo: (H,W,3) uint8 RGB.
        crop: (3,S,S) in [-1,1] in the template `face`.
        mask: soft mask (1,M,M) in [0,1] in the same template.
        points: landmarks (5,2) in pixels of the photo.
        coverage: (H,W) float32, updated with the maximum of itself and the warped mask.
    """
    landmarks = torch.as_tensor(points, dtype=torch.float32)
    template = geometry.template('face')
    inside = (mask[0] > 0).nonzero()  # (N,2) of y, x
    if not len(inside):
        return
    (y0, x0), (y1, x1) = ((edge * template.width / mask.shape[-1] - 0.5).tolist()
                          for edge in (inside.amin(0) - 1, inside.amax(0) + 2))
    corners = torch.tensor([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    corners = geometry.apply(geometry.invert(geometry.align(landmarks, template)), corners)
    low = corners.amin(0).floor().long().clamp(min=0)
    high = torch.minimum(corners.amax(0).ceil().long() + 1, torch.tensor([photo.shape[1], photo.shape[0]]))
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    if x1 <= x0 or y1 <= y0:
        return
    landmarks = landmarks - low

    def warp(image: Tensor, mode: str, padding: str) -> np.ndarray:
        matrix = geometry.invert(geometry.align(landmarks, template.scaled(image.shape[-1])))
        warped = geometry.warp(image[None].float().cpu(), matrix, (y1 - y0, x1 - x0), mode=mode, padding=padding)
        return warped[0].permute(1, 2, 0).numpy()

    region = photo[y0:y1, x0:x1]
    face = (warp(crop, 'bicubic', 'border').clip(-1, 1) + 1) * HALF_RANGE
    alpha = warp(mask, 'bilinear', 'zeros')[..., 0]
    if is_monochrome(region[alpha > _MIN_ALPHA][:, None]):
        face = to_gray(face)
    mixed = multiband_mix(region, face, alpha).round().clip(0, 255)
    region[...] = np.where(alpha[..., None] > _MIN_ALPHA, mixed, region).astype(np.uint8)
    np.maximum(coverage[y0:y1, x0:x1], alpha, out=coverage[y0:y1, x0:x1])
