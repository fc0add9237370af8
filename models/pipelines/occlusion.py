"""Where a swap may show: inside the target's own face, and behind whatever lies in front of it."""
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.batch import FACE_IDS, PARTS

MASK_SIDE = 256  # pixels of the template `face` in which masks are made
# Both are measured by `scripts/benchmark.py occlusion`.
MIN_BARE_PROBABILITY = 0.5  # probability of bare skin below which the target stays
MAX_RESIDUAL_LAB = 30.0  # CIELAB distance of swap and target above which the target stays
_FACE_AREA = (0.05, 0.85)  # least and largest part of the crop that a face covers
_HULL_GROWTH = 1.75  # how far the hull of the five points is stretched to reach brows and chin
# What a swap may cover: the parts of a face, and ears and neck, which a jaw may be taken for; glasses stay.
BARE_IDS = sorted({*FACE_IDS, *map(PARTS.index, ('l_ear', 'r_ear', 'neck'))} - {PARTS.index('eye_g')})
_SPECK = np.ones((5, 5), np.uint8)  # pixels of MASK_SIDE: what is thinner in a mask is the parser's noise
_RESIDUAL_RATIO = 3.0  # of a residual to the median inside the face, at least, so that swaps in another style count as faces
_RESIDUAL_SIDE = 64  # pixels in which swap and target are compared
_RESIDUAL_BLUR = 1.5  # standard deviation, in these pixels, that allows for features that sit elsewhere
_SKIN_IDS = [PARTS.index('skin'), PARTS.index('nose')]
_FEATURE_IDS = [PARTS.index(name) for name in ('l_eye', 'r_eye', 'l_brow', 'r_brow', 'mouth', 'u_lip', 'l_lip')]  # have glints
DETAIL_SIDE = 128  # pixels in which lettering is looked for
_STROKE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))  # wider than a stroke
_STROKE_MARGIN = -5.0  # whiteness of a stroke above the 90th percentile of the skin's
_STROKE_WINDOW = (15, 15)
_MIN_STROKE_CONTRAST = 10.0  # whiteness of a stroke above that beside it
_MIN_STROKE_DENSITY = 0.12  # part of the window that strokes take up in letters
_MIN_LETTERS_PX = 1500  # area of letters on the skin; glints, teeth and stray hair take up less


def hull(side: int) -> np.ndarray:
    """(side,side) float32, 1 inside the convex hull of the template's five points, stretched about their center."""
    points = geometry.template('face').scaled(side).tensor().numpy()
    center = points.mean(0)
    outline = cv2.convexHull(((points - center) * _HULL_GROWTH + center).round().astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), outline, 1)
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side / 16).round()


def _solid(probability: np.ndarray) -> np.ndarray:
    """The largest connected piece of a (H,W) probability, without holes; all 0 where it is too small or too large for a face in
    the template `face`."""
    outlines, _ = cv2.findContours((probability > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros(probability.shape, np.float32)
    if outlines:
        cv2.drawContours(mask, [max(outlines, key=cv2.contourArea)], -1, 1.0, cv2.FILLED)
    return mask if _FACE_AREA[0] <= mask.mean() <= _FACE_AREA[1] else np.zeros_like(mask)


def region_probabilities(logits: Tensor, *groups) -> list[np.ndarray]:
    """(19,H,W) logits -> for each group of ids of PARTS the summed probability (MASK_SIDE,MASK_SIDE)."""
    probability = logits.float().softmax(0)
    regions = torch.stack([probability[list(ids)].sum(0) for ids in groups])[None]
    return list(F.interpolate(regions, (MASK_SIDE, MASK_SIDE), mode='bilinear', antialias=True)[0].cpu().numpy())


def residual(target: Tensor, swap: Tensor, face: np.ndarray) -> np.ndarray:
    """How far the target is from the swap where that shows a face: distance in CIELAB (H,W) float32.

    target, swap (3,S,S) in [-1,1]; face (H,W), 0 or 1, at least one of which is 1. Their median difference inside the face, which
    is that of complexion and light, is taken off, and what is finer than some 4 % of the side is averaged.
    """
    sides = (_RESIDUAL_SIDE, _RESIDUAL_SIDE)
    images = F.interpolate(torch.stack([target, swap]).float(), sides, mode='bilinear', antialias=True)
    first, second = (cv2.cvtColor(((image + 1) / 2).permute(1, 2, 0).cpu().numpy(), cv2.COLOR_RGB2LAB) for image in images)
    difference = first - second
    inside = cv2.resize(face, sides, interpolation=cv2.INTER_AREA) > 0.5
    difference = cv2.GaussianBlur(difference - np.median(difference[inside], 0), (0, 0), _RESIDUAL_BLUR)
    return cv2.resize(np.linalg.norm(difference, axis=2), face.shape[::-1])


def lettering(detail: Tensor, skin: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Where bright strokes stand close together, such as those of subtitles, which are too thin for the parser: (H,W) uint8, 0 or
    1.

    detail (3,S,S) in [-1,1], the target; skin, features (H,W), probabilities of skin and of eyes, brows and mouth. Strokes are
    found by the white top-hat of whiteness, the lightness in CIELAB less half of the chroma.
    """
    sides = (DETAIL_SIDE, DETAIL_SIDE)
    image = F.interpolate(detail[None].float(), sides, mode='bilinear', antialias=True)[0]
    lab = cv2.cvtColor(((image + 1) / 2).permute(1, 2, 0).cpu().numpy(), cv2.COLOR_RGB2LAB)
    white = lab[..., 0] - 0.5 * np.hypot(lab[..., 1], lab[..., 2])
    small_skin, features = (cv2.resize(region, sides, interpolation=cv2.INTER_AREA) for region in (skin, features))
    usual = white[small_skin > 0.3]
    if not usual.size:
        return np.zeros(skin.shape, np.uint8)
    contrast = cv2.morphologyEx(white, cv2.MORPH_TOPHAT, _STROKE)
    bright = (white > np.percentile(usual, 90) + _STROKE_MARGIN) & (features < 0.5)

    strokes = bright & (contrast > _MIN_STROKE_CONTRAST)
    letters = strokes & (cv2.boxFilter(strokes.astype(np.float32), -1, _STROKE_WINDOW) > _MIN_STROKE_DENSITY)
    letters = cv2.morphologyEx(letters.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    letters = cv2.dilate(letters, np.ones((3, 3), np.uint8))
    if (letters & (small_skin > 0.3)).sum() < _MIN_LETTERS_PX:
        return np.zeros(skin.shape, np.uint8)
    return cv2.resize(letters, skin.shape[::-1], interpolation=cv2.INTER_NEAREST)


def face_masks(parser, targets: Tensor, swaps: Tensor, seen: Tensor | None = None, *, details: Tensor | None = None,
               min_bare: float = MIN_BARE_PROBABILITY, max_residual: float = MAX_RESIDUAL_LAB) -> tuple[Tensor, list[bool]]:
    """Where each swap covers its target: where either crop shows a face and the target shows bare skin, so that a swap neither
    covers what is in front of the face nor leaves the head.

    parser as models.base.Perception.parser, or None; targets, swaps (B,3,S,S) in [-1,1] in the template `face`; seen (B,19,S,S):
    the parser's logits of the targets, where they are known; details (B,3,D,D): the targets in more pixels, where there are;
    min_bare, max_residual: see MIN_BARE_PROBABILITY and MAX_RESIDUAL_LAB. Returns hard masks
    (B,1,MASK_SIDE,MASK_SIDE) and, for each, whether
    the parser found no face in the target, so that the hull of the landmarks is used.
    """
    masks = [hull(MASK_SIDE)] * len(targets)
    missed = [True] * len(targets)
    if parser is not None:
        seen = parser(targets) if seen is None else seen
        same = swaps is targets
        for index, (before, after) in enumerate(zip(seen, seen if same else parser(swaps))):
            face, bare, skin, features = region_probabilities(before, FACE_IDS, BARE_IDS, _SKIN_IDS, _FEATURE_IDS)
            face = _solid(face)
            if face.any():
                missed[index] = False
                shown = _solid(np.maximum(face, *map(_solid, region_probabilities(after, FACE_IDS))))
                covered = bare < min_bare
                if not same:
                    difference = residual(targets[index], swaps[index], face)
                    limit = max(max_residual, _RESIDUAL_RATIO * float(np.median(difference[face > 0])))
                    covered |= (difference > limit) & (features < 0.5)  # painted lips are no object
                covered = cv2.morphologyEx(covered.astype(np.uint8), cv2.MORPH_OPEN, _SPECK)
                covered |= lettering((targets if details is None else details)[index], skin, features)
                masks[index] = cv2.morphologyEx(shown * (1 - covered), cv2.MORPH_OPEN, _SPECK)
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(targets), missed
