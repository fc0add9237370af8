"""Coarse label maps in the layout of FASSEG."""

import numpy as np

from datasets.fasseg import eye_mouth_centers
from models.batch import COARSE


def coarse_mask(eyes=2, side=96):
    ids, mask = list(COARSE), np.zeros((side, side), np.uint8)
    mask[20:90, 20:76] = ids.index('skin')
    for x in (32, 58)[:eyes]:
        mask[40:44, x:x + 8] = ids.index('eyes')
    mask[66:72, 38:58] = ids.index('mouth')
    return mask


def test_centers_are_none_for_a_face_with_one_eye():
    assert eye_mouth_centers(coarse_mask(2), True).shape == (3, 2) and eye_mouth_centers(coarse_mask(1), True) is None
