"""Published networks for head pose and landmarks, on onnxruntime, without gradient. Images are (B,3,H,W) in [-1,1] in the
template `face`."""
import torch
from torch import Tensor

from models import geometry, weights
from models.geometry import FACE_CORNER, FACE_SIDE
from models.images import SCALE_128, from_signed
from models.runtime.sessions import Session

# Detection box of an average face in pixels of the CelebA canvas: x0, y0, x1, y1.
_BOX = (45, 68, 132, 178)
_LANDMARK_MARGIN = 1.1  # side of the landmark network's square over the longer side of the box


class _Network:
    """A network of models.weights with one input (B,C,h,w). Raises models.weights.MissingWeights if the file is not in the
    cache."""

    def __init__(self, name: str):
        self.session = Session(weights.path(name), spin=False)
        self.name, = self.session.inputs

    def __call__(self, crops: Tensor) -> Tensor:
        return self.session(**{self.name: crops})


def _cut(images: Tensor, box: tuple[float, float, float, float], side: int) -> tuple[Tensor, Tensor]:
    """Crop a box of the CelebA canvas: (B,3,side,side) in [-1,1], and the transform (2,3) from the images to the crop."""
    height, width = images.shape[-2:]
    per_x, per_y = width / FACE_SIDE, height / FACE_SIDE
    left, top, right, bottom = ((edge - FACE_CORNER[i % 2]) * (per_x, per_y)[i % 2] for i, edge in enumerate(box))
    sx, sy = side / (right - left), side / (bottom - top)
    matrix = torch.tensor([[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5]])
    return geometry.warp(images.float().cpu(), matrix, (side, side)), matrix


class FSANet:
    """Head pose: (B,3,H,W) -> (B,3) yaw, pitch, roll in degrees, the mean of the two published networks of Yang et al. 2019."""

    def __init__(self) -> None:
        self.networks = [_Network('fsanet-1x1'), _Network('fsanet-var')]

    def __call__(self, images: Tensor) -> Tensor:
        crops = _cut(images, _BOX, 64)[0].flip(1) * SCALE_128  # BGR
        return torch.stack([torch.cat([network(crop[None]) for crop in crops]) for network in self.networks]).mean(0)


class PFLD:
    """68 landmarks: (B,3,H,W) -> (B,68,2) in pixels of the images, the network of Guo et al. 2019."""

    def __init__(self) -> None:
        self.network = _Network('pfld-68')

    def __call__(self, images: Tensor) -> Tensor:
        x0, y0, x1, y1 = _BOX
        half = _LANDMARK_MARGIN * max(x1 - x0, y1 - y0) / 2
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        crops, matrix = _cut(images, (x - half, y - half, x + half, y + half), 112)
        landmarks = self.network(from_signed(crops, 'unit')).reshape(-1, 68, 2)
        return geometry.apply(geometry.invert(matrix), landmarks * 112 - 0.5)
