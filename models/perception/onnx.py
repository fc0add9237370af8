"""Published networks in ONNX form that read head pose and landmarks off a face, on onnxruntime. They look at pictures
(B,3,H,W) in [-1,1] in the template `face` and give no gradient."""
import numpy as np
import torch
from torch import Tensor

from models import geometry, weights
from models.geometry import FACE_CORNER, FACE_SIDE

# Where a detector's box around an average face lies, in pixels of the CelebA canvas: x0, y0, x1, y1.
_BOX = (45, 68, 132, 178)
_LANDMARK_MARGIN = 1.1  # side of the landmark network's square over the longer side of the box


def _session(name: str):
    """An onnxruntime session of an entry of the table; models.weights.MissingWeights where the file is not here."""
    file = weights.path(name)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=['CPUExecutionProvider'])


def _cut(pictures: Tensor, box: tuple[float, float, float, float], side: int) -> tuple[np.ndarray, Tensor]:
    """A box of the CelebA canvas as (B,3,side,side) in [-1,1], and the matrix (2,3) from the pictures into it."""
    height, width = pictures.shape[-2:]
    per_x, per_y = width / FACE_SIDE, height / FACE_SIDE
    left, top, right, bottom = ((edge - FACE_CORNER[i % 2]) * (per_x, per_y)[i % 2] for i, edge in enumerate(box))
    sx, sy = side / (right - left), side / (bottom - top)
    matrix = torch.tensor([[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5]])
    return geometry.warp(pictures.float().cpu(), matrix, (side, side)).numpy(), matrix


class FSANet:
    """Head pose: (B,3,H,W) -> (B,3) yaw, pitch, roll in degrees, the mean of the two published networks of Yang et al. 2019."""

    def __init__(self):
        self.sessions = [_session('fsanet-1x1'), _session('fsanet-var')]

    def __call__(self, pictures: Tensor) -> Tensor:
        crops = _cut(pictures, _BOX, 64)[0][:, ::-1] * np.float32(127.5 / 128)  # blue first
        found = [[session.run(None, {session.get_inputs()[0].name: crop[None]})[0][0] for crop in np.ascontiguousarray(crops)]
                 for session in self.sessions]
        return torch.from_numpy(np.mean(found, 0))


class PFLD:
    """68 landmarks: (B,3,H,W) -> (B,68,2) in pixels of the pictures, the network of Guo et al. 2019."""

    def __init__(self):
        self.session = _session('pfld-68')

    def __call__(self, pictures: Tensor) -> Tensor:
        x0, y0, x1, y1 = _BOX
        half = _LANDMARK_MARGIN * max(x1 - x0, y1 - y0) / 2
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        crops, matrix = _cut(pictures, (x - half, y - half, x + half, y + half), 112)
        found = self.session.run(None, {self.session.get_inputs()[0].name: (crops + 1) / 2})[0].reshape(-1, 68, 2)
        return geometry.apply(geometry.invert(matrix), torch.from_numpy(found) * 112 - 0.5)
