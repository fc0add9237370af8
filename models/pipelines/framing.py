"""Alignment of an image of any size to the square input of a network."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.images import to_tensor
from models.perception.detection import Detector
from models.pipelines.photo import crop_face

_RAMP_FRACTION = 1 / 16  # of the square's side: width over which `inside` rises from the border of the image


@dataclass(frozen=True)
class AlignedImage:
    """A square crop.

    Attributes:
        image: (1,3,S,S) in [-1,1].
        inside: (1,1,S,S) in [0,1], 0 outside the border of the original image, which `image` replicates there.
        note: a clause for the user about the choice of the crop, or None.
    """

    image: Tensor
    inside: Tensor
    note: str | None


def align_image(image: np.ndarray, detector: Detector, size: int, template: str = 'face') -> AlignedImage:
    """Crop (H,W,3) uint8 RGB to `size` pixels: the largest face aligned to the template, or the center of an image without a
    face."""
    faces = detector.detect(image)
    if faces:
        note = f'the image shows {len(faces)} faces; the largest was used' if len(faces) > 1 else None
        points = faces[0].points
        return AlignedImage(crop_face(image, points, size, template), _inside(image, points, size, template), note)
    return AlignedImage(center_crop(image, size), torch.ones(1, 1, size, size),
                        'no face was found in the image; its center was used without alignment')


def center_crop(image: np.ndarray, size: int) -> Tensor:
    """The central square of (H,W,3) uint8 RGB, resized: (1,3,size,size) in [-1,1]."""
    height, width = image.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    square = to_tensor(np.ascontiguousarray(image[y:y + side, x:x + side]))[None]
    return F.interpolate(square, (size, size), mode='bicubic', antialias=True).clamp(-1, 1)


def _inside(image: np.ndarray, points: np.ndarray, size: int, template: str) -> Tensor:
    """`AlignedImage.inside` of a crop by landmarks (5,2)."""
    matrix = geometry.align(torch.as_tensor(points, dtype=torch.float32), geometry.template(template).scaled(size))
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing='xy'), -1).float()  # (S,S,2)
    grid = geometry.apply(geometry.invert(matrix), grid.view(-1, 2)).view(size, size, 2)  # in pixels of the image
    height, width = image.shape[:2]
    distance = torch.minimum(grid + 0.5, torch.tensor([width - 0.5, height - 0.5]) - grid).amin(-1)  # to the border
    scale = float(torch.linalg.det(matrix[:, :2]).abs().sqrt())
    return (distance * scale / (_RAMP_FRACTION * size)).clamp(0, 1)[None, None]  # (1,1,S,S)
