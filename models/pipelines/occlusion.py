"""Masks of the pixels that a swap may replace: the target's face without occluders such as hands, glasses, hair and letters."""
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.batch import FACE_IDS, PARTS
from models.images import from_signed

MASK_SIDE = 256  # pixels of the template `face` in which masks are computed
# Both are measured by `scripts/benchmark.py occlusion`.
MIN_BARE_PROBABILITY = 0.5  # of bare skin; pixels below it are not replaced
MAX_RESIDUAL_LAB = 30.0  # CIELAB distance of swap and target; pixels above it are not replaced
_FACE_AREA_RANGE = (0.05, 0.85)  # fraction of the crop that a face covers
_HULL_GROWTH = 1.75  # factor by which the hull of the five landmarks is enlarged to reach brows and chin
# Parts that a swap may cover: the face without glasses, and ears and neck, with which parsers confuse the jaw.
BARE_IDS = sorted({*FACE_IDS, *map(PARTS.index, ('l_ear', 'r_ear', 'neck'))} - {PARTS.index('eye_g')})
_NOISE_KERNEL = np.ones((5, 5), np.uint8)  # pixels of MASK_SIDE; thinner structures of a mask are noise of the parser
_MIN_RESIDUAL_RATIO = 3.0  # of a residual to the median inside the face, so that a swap of another style is no occluder
_RESIDUAL_SIDE = 64  # pixels in which swap and target are compared
_RESIDUAL_BLUR_PX = 1.5  # standard deviation in these pixels, tolerates displaced features
_SKIN_IDS = [PARTS.index('skin'), PARTS.index('nose')]
_FEATURE_IDS = [PARTS.index(name) for name in ('l_eye', 'r_eye', 'l_brow', 'r_brow', 'mouth', 'u_lip', 'l_lip')]  # have glints
DETAIL_SIDE = 128  # pixels in which lettering is detected
_STROKE_KERNEL = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))  # wider than a stroke
_STROKE_MARGIN = -5.0  # whiteness of a stroke above the 90th percentile of the skin's
_STROKE_WINDOW_PX = (15, 15)  # in which the density of strokes is measured
_MIN_STROKE_CONTRAST = 10.0  # whiteness of a stroke above that of its surroundings
_MIN_STROKE_DENSITY = 0.12  # fraction of the window that the strokes of letters cover
_MIN_LETTERS_PX = 1500  # area of letters on the skin; glints, teeth and single hairs cover less


def hull(side: int) -> np.ndarray:
    """Mask (side,side) float32 of the convex hull of the template's five landmarks, enlarged about their center: 0 or 1."""
    points = geometry.template('face').scaled(side).tensor().numpy()
    center = points.mean(0)
    outline = cv2.convexHull(((points - center) * _HULL_GROWTH + center).round().astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), outline, 1)
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side / 16).round()


def _largest_component(probability: np.ndarray) -> np.ndarray:
    """The largest connected component of a probability (H,W) above 0.5, without holes, as (H,W) float32; all 0 if its area is
    outside _FACE_AREA_RANGE."""
    outlines, _ = cv2.findContours((probability > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros(probability.shape, np.float32)
    if outlines:
        cv2.drawContours(mask, [max(outlines, key=cv2.contourArea)], -1, 1.0, cv2.FILLED)
    return mask if _FACE_AREA_RANGE[0] <= mask.mean() <= _FACE_AREA_RANGE[1] else np.zeros_like(mask)


def region_probabilities(logits: Tensor, *groups: Iterable[int]) -> list[np.ndarray]:
    """Sum the probabilities of parts: logits (19,H,W) -> (MASK_SIDE,MASK_SIDE) for each group of indices of PARTS."""
    probability = logits.float().softmax(0)
    regions = torch.stack([probability[list(ids)].sum(0) for ids in groups])[None]
    return list(F.interpolate(regions, (MASK_SIDE, MASK_SIDE), mode='bilinear', antialias=True)[0].cpu().numpy())


def _to_lab(image: Tensor) -> np.ndarray:
    """(3,H,W) in [-1,1] -> (H,W,3) float32 CIELAB."""
    return cv2.cvtColor(from_signed(image, 'unit').permute(1, 2, 0).cpu().numpy(), cv2.COLOR_RGB2LAB)


def residual(target: Tensor, swap: Tensor, face: np.ndarray) -> np.ndarray:
    """Distance of swap and target in CIELAB, after removal of their median difference inside the face (complexion and light) and
    of detail finer than about 4 % of the side.

    Args:
        target, swap: (3,S,S) in [-1,1].
        face: mask (H,W) of the face, 0 or 1, not empty.

    Returns:
        (H,W) float32.
    """
    size = (_RESIDUAL_SIDE, _RESIDUAL_SIDE)
    images = F.interpolate(torch.stack([target, swap]).float(), size, mode='bilinear', antialias=True)
    difference = _to_lab(images[0]) - _to_lab(images[1])
    inside = cv2.resize(face, size, interpolation=cv2.INTER_AREA) > 0.5
    difference = cv2.GaussianBlur(difference - np.median(difference[inside], 0), (0, 0), _RESIDUAL_BLUR_PX)
    return cv2.resize(np.linalg.norm(difference, axis=2), face.shape[::-1])


def lettering(detail: Tensor, skin: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Detect bright letters, such as those of subtitles, whose strokes are too thin for a parser.

    Strokes are maxima of the white top-hat of whiteness, the CIELAB lightness minus half of the chroma; letters are windows with
    many strokes.

    Args:
        detail: target (3,S,S) in [-1,1].
        skin, features: probabilities (H,W) of skin, and of eyes, brows and mouth.

    Returns:
        Mask (H,W) uint8, 0 or 1.
    """
    size = (DETAIL_SIDE, DETAIL_SIDE)
    lab = _to_lab(F.interpolate(detail[None].float(), size, mode='bilinear', antialias=True)[0])
    whiteness = lab[..., 0] - 0.5 * np.hypot(lab[..., 1], lab[..., 2])
    small_skin, features = (cv2.resize(region, size, interpolation=cv2.INTER_AREA) for region in (skin, features))
    skin_whiteness = whiteness[small_skin > 0.3]
    if not skin_whiteness.size:
        return np.zeros(skin.shape, np.uint8)
    contrast = cv2.morphologyEx(whiteness, cv2.MORPH_TOPHAT, _STROKE_KERNEL)
    bright = (whiteness > np.percentile(skin_whiteness, 90) + _STROKE_MARGIN) & (features < 0.5)

    strokes = bright & (contrast > _MIN_STROKE_CONTRAST)
    dense = strokes & (cv2.boxFilter(strokes.astype(np.float32), -1, _STROKE_WINDOW_PX) > _MIN_STROKE_DENSITY)
    letters = cv2.morphologyEx(dense.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    letters = cv2.dilate(letters, np.ones((3, 3), np.uint8))
    if letters[small_skin > 0.3].sum() < _MIN_LETTERS_PX:
        return np.zeros(skin.shape, np.uint8)
    return cv2.resize(letters, skin.shape[::-1], interpolation=cv2.INTER_NEAREST)


def face_masks(parser: Callable[[Tensor], Tensor] | None, targets: Tensor, swaps: Tensor, target_logits: Tensor | None = None, *,
               details: Tensor | None = None, min_bare: float = MIN_BARE_PROBABILITY,
               max_residual: float = MAX_RESIDUAL_LAB) -> tuple[Tensor, list[bool]]:
    """Masks of the pixels that swaps replace: the face of the target or of the swap, without occluders of the target.

    A swap thus neither covers an occluder nor extends beyond the head.

    Args:
        parser: as models.base.Perception.parser, or None.
        targets, swaps: (B,3,S,S) in [-1,1] in the template `face`.
        target_logits: logits (B,19,S,S) of the targets; None to compute them.
        details: the targets at a higher resolution (B,3,D,D), for letters.
        min_bare, max_residual: see MIN_BARE_PROBABILITY and MAX_RESIDUAL_LAB.

    Returns:
        Hard masks (B,1,MASK_SIDE,MASK_SIDE), and for each target whether the parser detects no face in it, in which case the mask
        is the hull of the landmarks.
    """
    masks = [hull(MASK_SIDE)] * len(targets)
    missed = [True] * len(targets)
    if parser is not None:
        target_logits = parser(targets) if target_logits is None else target_logits
        same = swaps is targets
        for index, (before, after) in enumerate(zip(target_logits, target_logits if same else parser(swaps))):
            face, bare, skin, features = region_probabilities(before, FACE_IDS, BARE_IDS, _SKIN_IDS, _FEATURE_IDS)
            face = _largest_component(face)
            if face.any():
                missed[index] = False
                either = _largest_component(np.maximum(face, *map(_largest_component, region_probabilities(after, FACE_IDS))))
                occluded = bare < min_bare
                if not same:
                    difference = residual(targets[index], swaps[index], face)
                    limit = max(max_residual, _MIN_RESIDUAL_RATIO * float(np.median(difference[face > 0])))
                    occluded |= (difference > limit) & (features < 0.5)  # make-up of features is no occluder
                occluders = cv2.morphologyEx(occluded.astype(np.uint8), cv2.MORPH_OPEN, _NOISE_KERNEL)
                letters = lettering((targets if details is None else details)[index], skin, features)
                masks[index] = cv2.morphologyEx(either * (1 - np.maximum(occluders, letters)), cv2.MORPH_OPEN, _NOISE_KERNEL)
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(targets), missed
