"""Putting a generated face back into its photo: where it shows (mask), in which tones (colour match), and the mixing."""
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.perception.parsing import face_probability

MASK_SIDE = 256  # pixels of the template `face` in which masks are made
_FRAME = 0.05  # part of the side over which the mask falls to 0 at the border of the crop
_SHARE = (0.05, 0.85)  # least and largest part of the crop that a face covers
_GROWTH = 1.75  # how far the hull of the five points is stretched to reach brows and chin


def hull(side: int) -> np.ndarray:
    """(side,side) float32, 1 inside the convex hull of the template's five points, stretched about their centre."""
    points = geometry.template('face').scaled(side).tensor().numpy()
    centre = points.mean(0)
    outline = cv2.convexHull(((points - centre) * _GROWTH + centre).round().astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), outline, 1)
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side / 16).round()


def _solid(probability: np.ndarray) -> np.ndarray:
    """The largest connected piece of a (H,W) probability, without holes; all 0 where it is too small or too large for a face in
    the template `face`."""
    outlines, _ = cv2.findContours((probability > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros(probability.shape, np.float32)
    if outlines:
        cv2.drawContours(mask, [max(outlines, key=cv2.contourArea)], -1, 1.0, cv2.FILLED)
    return mask if _SHARE[0] <= mask.mean() <= _SHARE[1] else np.zeros_like(mask)


def soften(mask: Tensor, feather: float = 0.06) -> Tensor:
    """(B,1,S,S) hard mask -> soft mask of the same shape that is 0 outside the hard one and at the border of the crop: eroded,
    then blurred inwards over `feather` of the side."""
    side = mask.shape[-1]
    radius = max(1, round(feather * side / 2))
    eroded = -F.max_pool2d(F.pad(-mask, [radius] * 4), 2 * radius + 1, 1)
    taps = torch.arange(-radius, radius + 1, dtype=mask.dtype, device=mask.device) / radius
    kernel = torch.cos(taps * torch.pi / 2).square() + 1e-6
    kernel = kernel / kernel.sum()
    soft = F.conv2d(eroded, kernel.view(1, 1, 1, -1), padding=(0, radius))
    soft = F.conv2d(soft, kernel.view(1, 1, -1, 1), padding=(radius, 0))
    near = torch.arange(side, dtype=mask.dtype, device=mask.device)
    frame = (torch.minimum(near, near.flip(0)) / (_FRAME * side)).clamp(max=1)
    frame = frame * frame * (3 - 2 * frame)
    return (soft * mask * frame * frame[:, None]).clamp(0, 1)  # (B,1,S,S)


def face_masks(parser, targets: Tensor, swaps: Tensor) -> tuple[Tensor, list[bool]]:
    """Where each swap covers its target: what either crop shows as face.

    parser as models.base.Perception.parser, or None; targets, swaps (B,3,S,S) in [-1,1] in the template `face`. Returns hard
    masks (B,1,MASK_SIDE,MASK_SIDE) and, for each, whether the parser found no face in the target, so that the hull of the
    landmarks had to do.
    """
    side = (MASK_SIDE, MASK_SIDE)
    if parser is None:
        found = np.zeros((2, len(targets), *side), np.float32)
    else:
        pictures = F.interpolate(torch.cat([targets, swaps]), side, mode='bilinear', antialias=True)
        found = face_probability(parser(pictures)).view(2, len(targets), *side).float().cpu().numpy()
    masks, missed = [], []
    for target, swap in zip(*found):
        target, swap = _solid(target), _solid(swap)
        missed.append(not target.any())
        masks.append(hull(MASK_SIDE) if missed[-1] else _solid(np.maximum(target, swap)))
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(targets), missed


def match_colour(swap: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`swap` in the tones of `target`: inside the mask the mean in CIELAB and the deviation of the lightness are made equal
    (after Reinhard et al. 2001, who match every channel's deviation; matching that of the colours brings up their noise).

    Pictures (H,W,3) float32 RGB in [0,1], mask (H,W) in [0,1]. The deviation changes by at most a third, so that shading which
    only one face has is not blown up.
    """
    first, second = (cv2.cvtColor(np.ascontiguousarray(p, np.float32), cv2.COLOR_RGB2LAB) for p in (swap, target))
    weight = mask / max(float(mask.sum()), 1e-6)
    mean_a, mean_b = (np.einsum('hwc,hw->c', p, weight) for p in (first, second))
    spread_a, spread_b = (np.sqrt((((p - m)[..., 0]) ** 2 * weight).sum()) for p, m in ((first, mean_a), (second, mean_b)))
    gain = np.array([np.clip(spread_b / max(spread_a, 1e-3), 0.75, 4 / 3), 1, 1])
    return np.clip(cv2.cvtColor(((first - mean_a) * gain + mean_b).astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)


def paste(photo: np.ndarray, crop: Tensor, mask: Tensor, points: np.ndarray) -> None:
    """Mix a crop into the photo, in place; pixels where the mask is 0 keep their bytes.

    photo (H,W,3) uint8 RGB; crop (3,S,S) in [-1,1] and soft mask (1,M,M) in [0,1], both in the template `face`; points (5,2)
    landmarks in the photo.
    """
    here = torch.as_tensor(points, dtype=torch.float32)
    own = geometry.template('face')
    corners = torch.tensor([[-0.5, -0.5], [own.width - 0.5, -0.5], [-0.5, own.height - 0.5], [own.width - 0.5, own.height - 0.5]])
    corners = geometry.apply(geometry.invert(geometry.align(here, own)), corners)
    low = corners.amin(0).floor().long().clamp(min=0)
    high = torch.minimum(corners.amax(0).ceil().long() + 1, torch.tensor([photo.shape[1], photo.shape[0]]))
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    if x1 <= x0 or y1 <= y0:
        return
    here = here - low

    def seen(picture, mode, padding):
        matrix = geometry.invert(geometry.align(here, own.scaled(picture.shape[-1])))
        warped = geometry.warp(picture[None].float().cpu(), matrix, (y1 - y0, x1 - x0), mode=mode, padding=padding)
        return warped[0].permute(1, 2, 0).numpy()

    region = photo[y0:y1, x0:x1]
    face = (seen(crop, 'bicubic', 'border').clip(-1, 1) + 1) * 127.5
    alpha = seen(mask, 'bilinear', 'zeros')
    mixed = region + alpha * (face - region)
    region[...] = np.where(alpha > 1e-3, mixed.round().clip(0, 255), region).astype(np.uint8)
