"""Groups of the pairs of a protocol, for metrics by subgroup."""
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from configs.reading import read_rows
from models.batch import PARTS

# name -> minimum typology angle in degrees
TONES = {'very light': 55.0, 'light': 41.0, 'intermediate': 28.0, 'tan': 10.0, 'brown': -30.0, 'dark': -90.0}
_SKIN = (PARTS.index('skin'), PARTS.index('nose'))


def skin_angles(images: Tensor, labels: Tensor) -> Tensor:
    """Individual typology angle atan((L - 50) / b) of the median skin color in CIELAB, in degrees (Chardon et al. 1991).

    images (B,3,H,W) in [-1,1], labels (B,H,W) of PARTS -> (B,), NaN where no skin is visible. The angle depends on illumination
    and white balance, so it describes groups of images, not individuals.
    """
    angles = []
    for image, skin in zip(images.cpu(), torch.isin(labels.cpu(), torch.tensor(_SKIN))):
        lab = cv2.cvtColor(np.ascontiguousarray((image.permute(1, 2, 0).numpy() + 1) / 2, np.float32), cv2.COLOR_RGB2LAB)
        lightness, _, b = np.median(lab[skin.numpy()], 0) if skin.any() else np.full(3, np.nan)
        angles.append(np.degrees(np.arctan2(lightness - 50, max(b, 1e-3))))
    return torch.tensor(angles)


def tone(angle: float) -> str:
    """Name of the tone of an angle in degrees; 'unknown' for NaN."""
    return next((name for name, minimum in TONES.items() if angle >= minimum), 'unknown')


def read_groups(path: Path) -> dict[str, str]:
    """Image name -> group, from a CSV file with the columns file and group. Raises ValueError for other files."""
    return {row['file']: row['group'] for row in read_rows(path, ('file', 'group'))}
