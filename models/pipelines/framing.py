"""A photo or a drawing of any size as the square that a network wants to see."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.perception.detection import Detector
from models.pipelines.photo import crop_face


def framed(picture: np.ndarray, detector: Detector, size: int, template: str = 'face') -> tuple[Tensor, str | None]:
    """(H,W,3) uint8 RGB -> (1,3,size,size) in [-1,1], the largest face where `template` has it, or the middle of the picture
    where no face is found; and what the user should know of that, or None."""
    faces = detector.detect(picture)
    if faces:
        several = f'it shows {len(faces)} faces, of which the largest was taken' if len(faces) > 1 else None
        return crop_face(picture, faces[0].points, size, template), several
    height, width = picture.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(np.ascontiguousarray(picture[y:y + side, x:x + side])).permute(2, 0, 1)[None].float() / 127.5 - 1
    square = F.interpolate(square, (size, size), mode='bicubic', antialias=True).clamp(-1, 1)
    return square, 'no face was found in it, so its middle was taken without alignment'
