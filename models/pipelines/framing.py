"""A photo or a drawing of any size as the square that a network wants to see."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import geometry
from models.perception.detection import Detector
from models.pipelines.photo import crop_face

_RAMP = 1 / 16  # part of the square's side over which `known` rises from the border of the image


@dataclass(frozen=True)
class AlignedImage:
    """square (1,3,S,S) in [-1,1]; known (1,1,S,S) in [0,1], 0 beyond the border of the image, where the square repeats it;
    note, what the user should know, or None."""

    image: Tensor
    inside: Tensor
    note: str | None


def align_image(image: np.ndarray, detector: Detector, size: int, template: str = 'face') -> AlignedImage:
    """(H,W,3) uint8 RGB of any size -> a square of `size` pixels with the largest face where `template` has it, or the middle of
    the image where no face is found."""
    faces = detector.detect(image)
    if faces:
        several = f'it shows {len(faces)} faces, of which the largest was taken' if len(faces) > 1 else None
        points = faces[0].points
        return AlignedImage(crop_face(image, points, size, template), _known(image, points, size, template), several)
    return AlignedImage(center_crop(image, size), torch.ones(1, 1, size, size),
                  'no face was found in it, so its middle was taken without alignment')


def center_crop(image: np.ndarray, size: int) -> Tensor:
    """The central square of (H,W,3) uint8 RGB: (1,3,size,size) in [-1,1]."""
    height, width = image.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(np.ascontiguousarray(image[y:y + side, x:x + side])).permute(2, 0, 1)[None].float() / 127.5 - 1
    return F.interpolate(square, (size, size), mode='bicubic', antialias=True).clamp(-1, 1)


def _known(image: np.ndarray, points: np.ndarray, size: int, template: str) -> Tensor:
    matrix = geometry.align(torch.as_tensor(points, dtype=torch.float32), geometry.template(template).scaled(size))
    places = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing='xy'), -1).float()  # (S,S,2)
    there = geometry.apply(geometry.invert(matrix), places.view(-1, 2)).view(size, size, 2)
    height, width = image.shape[:2]
    inside = torch.minimum(there + 0.5, torch.tensor([width - 0.5, height - 0.5]) - there).amin(-1)  # pixels of the image
    scale = float(torch.linalg.det(matrix[:, :2]).abs().sqrt())
    return (inside * scale / (_RAMP * size)).clamp(0, 1)[None, None]
