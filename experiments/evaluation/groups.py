"""Pairs of a protocol in groups, so that a table can say for whom a system works less well."""
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from configs.reading import read_rows
from models.batch import PARTS

TONES = {'very light': 55.0, 'light': 41.0, 'intermediate': 28.0, 'tan': 10.0, 'brown': -30.0, 'dark': -90.0}  # least angle
_SKIN = (PARTS.index('skin'), PARTS.index('nose'))


def skin_angles(images: Tensor, labels: Tensor) -> Tensor:
    """Individual typology angle, atan((L - 50) / b) of the skin's median color in CIELAB, in degrees (Chardon et al. 1991).

    images (B,3,H,W) in [-1,1], labels (B,H,W) of PARTS -> (B,), nan where no skin is seen. Light and white balance of a photo
    enter it: for groups of images, not for a person.
    """
    found = []
    for image, skin in zip(images.cpu(), torch.isin(labels.cpu(), torch.tensor(_SKIN))):
        lab = cv2.cvtColor(np.ascontiguousarray((image.permute(1, 2, 0).numpy() + 1) / 2, np.float32), cv2.COLOR_RGB2LAB)
        lightness, _, b = np.median(lab[skin.numpy()], 0) if skin.any() else np.full(3, np.nan)
        found.append(np.degrees(np.arctan2(lightness - 50, max(b, 1e-3))))
    return torch.tensor(found)


def tone(angle: float) -> str:
    """The name of an angle in TONES; unknown for nan."""
    return next((name for name, least in TONES.items() if angle >= least), 'unknown')


def read_groups(path: Path) -> dict[str, str]:
    """Image -> group, of a CSV with the columns file and group; ValueError where it is none."""
    return {row['file']: row['group'] for row in read_rows(path, ('file', 'group'))}
