"""Putting a generated face back into its photo: where it shows (mask), in which tones (color match), and the mixing."""
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.batch import FACE_IDS, PARTS

MASK_SIDE = 256  # pixels of the template `face` in which masks are made
FEATHER = 0.06  # part of the side over which a mask falls off
MONOCHROME = 8  # levels of 255 by which the channels of a gray pixel may differ after lossy coding
_FRAME = 0.05  # part of the side over which the mask falls to 0 at the border of the crop
_SHARE = (0.05, 0.85)  # least and largest part of the crop that a face covers
_GROWTH = 1.75  # how far the hull of the five points is stretched to reach brows and chin
_COVERS = [PARTS.index(name) for name in ('eye_g', 'hair', 'hat')]  # stay in front wherever the target shows them
_FLESH = [*FACE_IDS, *(PARTS.index(name) for name in ('l_ear', 'r_ear', 'neck'))]  # what a jaw may be taken for
_SPECK = np.ones((7, 7), np.uint8)  # pixels of MASK_SIDE: what is thinner in a mask is the parser's noise


def hull(side: int) -> np.ndarray:
    """(side,side) float32, 1 inside the convex hull of the template's five points, stretched about their center."""
    points = geometry.template('face').scaled(side).tensor().numpy()
    center = points.mean(0)
    outline = cv2.convexHull(((points - center) * _GROWTH + center).round().astype(np.int32))
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


def _shares(logits: Tensor, *groups) -> list[np.ndarray]:
    """(19,H,W) logits -> for each group of ids the summed probability (MASK_SIDE,MASK_SIDE)."""
    probability = logits.float().softmax(0)
    shares = torch.stack([probability[list(ids)].sum(0) for ids in groups])[None]
    return list(F.interpolate(shares, (MASK_SIDE, MASK_SIDE), mode='bilinear', antialias=True)[0].cpu().numpy())


def occluders(covers: np.ndarray, flesh: np.ndarray, face: np.ndarray) -> np.ndarray:
    """What stays in front of a target's face: its glasses, hair and hat, and inside the outline of the face whatever is no part
    of one, nor neck or ear: such as a hand.

    covers, flesh (H,W), probabilities of _COVERS and _FLESH; face (H,W), its solid mask. Returns (H,W) float32, 0 or 1.
    """
    outline = cv2.convexHull(np.argwhere(face > 0)[:, ::-1].astype(np.int32))
    inside = cv2.fillConvexPoly(np.zeros(face.shape, np.uint8), outline, 1) > 0
    front = ((covers > 0.5) | (flesh < 0.5) & inside).astype(np.uint8)
    return cv2.morphologyEx(front, cv2.MORPH_OPEN, _SPECK).astype(np.float32)


def face_masks(parser, targets: Tensor, swaps: Tensor, seen: Tensor | None = None) -> tuple[Tensor, list[bool]]:
    """Where each swap covers its target: what either crop shows as face, less what stays in front of the target's.

    parser as models.base.Perception.parser, or None; targets, swaps (B,3,S,S) in [-1,1] in the template `face`; seen (B,19,S,S):
    what the parser says of the targets, where that is known. Returns hard masks (B,1,MASK_SIDE,MASK_SIDE) and, for each, whether
    the parser found no face in the target, so that the hull of the landmarks had to do.
    """
    masks = [hull(MASK_SIDE)] * len(targets)
    missed = [True] * len(targets)
    if parser is not None:
        seen = parser(targets) if seen is None else seen
        for index, (before, after) in enumerate(zip(seen, seen if swaps is targets else parser(swaps))):
            face, covers, flesh = _shares(before, FACE_IDS, _COVERS, _FLESH)
            face = _solid(face)
            if face.any():
                missed[index] = False
                shown = _solid(np.maximum(face, *map(_solid, _shares(after, FACE_IDS))))
                masks[index] = cv2.morphologyEx(shown * (1 - occluders(covers, flesh, face)), cv2.MORPH_OPEN, _SPECK)
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(targets), missed


def soften(mask: Tensor, feather: float = FEATHER) -> Tensor:
    """(B,1,S,S) hard mask -> soft mask of the same shape that is 0 outside the hard one and at the border of the crop: eroded,
    then blurred inwards over `feather` of the side."""
    side = mask.shape[-1]
    radius = max(1, round(feather * side / 2))
    eroded = F.max_pool2d(F.pad(-mask, [radius] * 4), (2 * radius + 1, 1), 1)
    eroded = -F.max_pool2d(eroded, (1, 2 * radius + 1), 1)
    taps = torch.arange(-radius, radius + 1, dtype=mask.dtype, device=mask.device) / radius
    kernel = torch.cos(taps * torch.pi / 2).square() + 1e-6
    kernel = kernel / kernel.sum()
    soft = F.conv2d(eroded, kernel.view(1, 1, 1, -1), padding=(0, radius))
    soft = F.conv2d(soft, kernel.view(1, 1, -1, 1), padding=(radius, 0))
    near = torch.arange(side, dtype=mask.dtype, device=mask.device)
    frame = (torch.minimum(near, near.flip(0)) / (_FRAME * side)).clamp(max=1)
    frame = frame * frame * (3 - 2 * frame)
    return (soft * mask * frame * frame[:, None]).clamp(0, 1)  # (B,1,S,S)


def tones(swap: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How `swap` gets the tones of `target`: gain and shift (2,3) of its CIELAB channels, such that inside the mask the mean and
    the deviation of the lightness become equal (after Reinhard et al. 2001, who match every channel's deviation; matching that of
    the colors brings up their noise).

    Images (H,W,3) float32 RGB in [0,1], mask (H,W) in [0,1]. The deviation changes by at most a third, so that shading which
    only one face has is not blown up.
    """
    first, second = (cv2.cvtColor(np.ascontiguousarray(p, np.float32), cv2.COLOR_RGB2LAB) for p in (swap, target))
    weight = mask / max(float(mask.sum()), 1e-6)
    mean_a, mean_b = (np.einsum('hwc,hw->c', p, weight) for p in (first, second))
    spread_a, spread_b = (np.sqrt((((p - m)[..., 0]) ** 2 * weight).sum()) for p, m in ((first, mean_a), (second, mean_b)))
    gain = np.array([np.clip(spread_b / max(spread_a, 1e-3), 0.75, 4 / 3), 1, 1])
    return np.stack([gain, mean_b - gain * mean_a])


def toned(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    """(H,W,3) float32 RGB in [0,1], changed as `tones` says."""
    lab = cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2LAB)
    return np.clip(cv2.cvtColor((lab * change[0] + change[1]).astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)


def match_color(swap: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`swap` in the tones of `target`; shapes and ranges as for `tones`."""
    return toned(swap, tones(swap, target, mask))


def mix(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`second` over `first` where the mask says, in bands: fine detail changes over sharply, tones over about FEATHER of
    the shorter side (Burt & Adelson 1983, on the images' difference).

    Images (H,W,3) float32, soft mask (H,W) in [0,1]; where that is 0, `first` stays as it is.
    """
    rest, shares, bands = (second - first).astype(np.float32), [np.clip(mask * 4 - 1.5, 0, 1).astype(np.float32)], []
    for _ in range(max(0, round(np.log2(FEATHER * min(mask.shape))) - 1)):
        small = cv2.pyrDown(rest)
        bands.append(rest - cv2.pyrUp(small, dstsize=rest.shape[1::-1]))
        rest = small
        shares.append(cv2.pyrDown(shares[-1]))
    made = rest * shares.pop()[..., None]
    for band in reversed(bands):
        made = cv2.pyrUp(made, dstsize=band.shape[1::-1]) + band * shares.pop()[..., None]
    return first + made * np.minimum(mask * 4, 1)[..., None]


def is_monochrome(image: np.ndarray, tolerance: int = MONOCHROME) -> bool:
    """Whether no pixel of (H,W,3) uint8 RGB has channels that differ by more than `tolerance` levels."""
    red, green, blue = cv2.split(image)
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    return int(cv2.subtract(high, low).max(initial=0)) <= tolerance


def to_gray(image: np.ndarray) -> np.ndarray:
    """(H,W,3) RGB -> the same shape and dtype with three equal channels, the luma of ITU-R BT.601."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def paste(photo: np.ndarray, crop: Tensor, mask: Tensor, points: np.ndarray, cover: np.ndarray) -> None:
    """Mix a crop into the photo, in place; pixels where the mask is 0 keep their bytes. Where the photo is monochrome, the crop
    loses its color.

    photo (H,W,3) uint8 RGB; crop (3,S,S) in [-1,1] and soft mask (1,M,M) in [0,1], both in the template `face`; points (5,2)
    landmarks in the photo; cover (H,W) float32, where the mask is noted.
    """
    here = torch.as_tensor(points, dtype=torch.float32)
    own = geometry.template('face')
    shown = (mask[0] > 0).nonzero()  # (N,2) of y, x
    if not len(shown):
        return
    (y0, x0), (y1, x1) = ((edge * own.width / mask.shape[-1] - 0.5).tolist() for edge in (shown.amin(0) - 1, shown.amax(0) + 2))
    corners = torch.tensor([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    corners = geometry.apply(geometry.invert(geometry.align(here, own)), corners)
    low = corners.amin(0).floor().long().clamp(min=0)
    high = torch.minimum(corners.amax(0).ceil().long() + 1, torch.tensor([photo.shape[1], photo.shape[0]]))
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    if x1 <= x0 or y1 <= y0:
        return
    here = here - low

    def seen(image, mode, padding):
        matrix = geometry.invert(geometry.align(here, own.scaled(image.shape[-1])))
        warped = geometry.warp(image[None].float().cpu(), matrix, (y1 - y0, x1 - x0), mode=mode, padding=padding)
        return warped[0].permute(1, 2, 0).numpy()

    region = photo[y0:y1, x0:x1]
    face = (seen(crop, 'bicubic', 'border').clip(-1, 1) + 1) * 127.5
    alpha = seen(mask, 'bilinear', 'zeros')[..., 0]
    if is_monochrome(region[alpha > 1e-3][:, None]):
        face = to_gray(face)
    region[...] = np.where(alpha[..., None] > 1e-3, mix(region, face, alpha).round().clip(0, 255), region).astype(np.uint8)
    np.maximum(cover[y0:y1, x0:x1], alpha, out=cover[y0:y1, x0:x1])
