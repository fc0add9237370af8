"""Face geometry: five-point templates, similarity estimation and antialiased warps.

Points are (x, y) in pixels with the center of the top-left pixel at (0, 0), in the order left eye, right eye, nose,
left mouth corner, right mouth corner; left is the viewer's left. A transform is a (2,3) matrix that maps homogeneous source
points to destination points. Warps are differentiable in the images.
"""
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.precision import full_precision


@dataclass(frozen=True)
class Template:
    """Five points of an aligned face in an image of `width` x `height` pixels."""

    width: int
    height: int
    points: tuple[tuple[float, float], ...]

    def scaled(self, width: int, height: int | None = None) -> 'Template':
        """The same alignment at another size; scaled about the corner of the first pixel, not its center."""
        height = round(width * self.height / self.width) if height is None else height
        sx, sy = width / self.width, height / self.height
        return Template(width, height, tuple(((x + 0.5) * sx - 0.5, (y + 0.5) * sy - 0.5) for x, y in self.points))

    def tensor(self, **kwargs: Any) -> Tensor:
        """Points (5,2), float32 by default; kwargs as for torch.tensor."""
        return torch.tensor(self.points, **{'dtype': torch.float32, **kwargs})


_CELEBA = Template(178, 218, ((69.4, 111.3), (107.6, 111.2), (88.3, 134.9), (71.3, 152.1), (105.4, 151.9)))
_SPHEREFACE = ((30.2946, 51.6963), (65.5318, 51.5014), (48.0252, 71.7366), (33.5493, 92.3655), (62.7299, 92.2041))

FACE_SIDE = 128  # side in CelebA pixels of the square of the swap families
FACE_CORNER = (24, 60)  # its top-left pixel in the CelebA canvas


def _square(side: int, corner: tuple[int, int]) -> Template:
    """A square crop of the aligned CelebA canvas."""
    return Template(side, side, tuple((x - corner[0], y - corner[1]) for x, y in _CELEBA.points))


TEMPLATES = {
    # Official aligned CelebA, mean of the published landmarks of its list.
    'celeba': _CELEBA,
    # Crop of the aligned CelebA canvas from hairline to chin, for the swap families.
    'face': _square(FACE_SIDE, FACE_CORNER),
    # Approximate alignment of CelebA-HQ within the aligned CelebA canvas.
    'celebahq': _square(150, (13, 40)),
    # FFHQ alignment at 512 pixels, as in SimSwap and facexlib.
    'ffhq': Template(512, 512, ((192.98138, 239.94708), (318.90277, 240.1936), (256.63416, 314.01935),
                                (201.26117, 371.41043), (313.08905, 371.15118))),
    # ArcFace (insightface): the SphereFace points shifted right by 8 pixels.
    'arcface': Template(112, 112, tuple((x + 8.0, y) for x, y in _SPHEREFACE)),
    'sphereface': Template(96, 112, _SPHEREFACE),
}


def template(name: str) -> Template:
    """A template of TEMPLATES. Raises ValueError for an unknown name."""
    if name not in TEMPLATES:
        raise ValueError(f'unknown template {name!r}; known: {", ".join(TEMPLATES)}')
    return TEMPLATES[name]


@full_precision
def similarity(source: Tensor, destination: Tensor) -> Tensor:
    """Least-squares similarity (rotation, uniform scale, translation; no mirroring) that maps source to destination.

    source, destination: (..., N, 2), N >= 2. Returns (..., 2, 3). Closed form of Umeyama 1991 in the plane.
    Raises ValueError if all source points coincide or a coordinate is not finite.
    """
    source, destination = torch.broadcast_tensors(source, destination)
    if not (torch.isfinite(source).all() and torch.isfinite(destination).all()):
        raise ValueError('landmarks have a value that is not finite')
    mean_s, mean_d = source.mean(-2, keepdim=True), destination.mean(-2, keepdim=True)
    s, d = source - mean_s, destination - mean_d
    spread = (s * s).sum((-1, -2))
    if (spread <= 1e-12).any():
        raise ValueError('landmarks all lie in one point: no similarity can be estimated')
    a = (s * d).sum((-1, -2)) / spread
    b = (s[..., 0] * d[..., 1] - s[..., 1] * d[..., 0]).sum(-1) / spread
    linear = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)
    shift = mean_d.squeeze(-2) - (linear @ mean_s.squeeze(-2).unsqueeze(-1)).squeeze(-1)
    return torch.cat([linear, shift.unsqueeze(-1)], -1)


@full_precision
def invert(matrix: Tensor) -> Tensor:
    """Inverse of (..., 2, 3) affine transforms."""
    linear = torch.linalg.inv(matrix[..., :2].double())
    shift = -(linear @ matrix[..., 2:].double())
    return torch.cat([linear, shift], -1).to(matrix.dtype)


@full_precision
def compose(second: Tensor, first: Tensor) -> Tensor:
    """The transform that applies `first`, then `second`; both (..., 2, 3)."""
    shift = second[..., :2] @ first[..., 2:] + second[..., 2:]
    return torch.cat([second[..., :2] @ first[..., :2], shift], -1)


@full_precision
def apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Apply transforms (..., 2, 3) to points (..., N, 2)."""
    return points @ matrix[..., :2].transpose(-1, -2) + matrix[..., 2].unsqueeze(-2)


def between(first: Template, second: Template) -> Tensor:
    """Transform (2,3) from pixels of the first template's image to pixels of the second's."""
    return similarity(first.tensor(dtype=torch.float64), second.tensor(dtype=torch.float64)).float()


def align(points: Tensor, to: Template) -> Tensor:
    """Transform (..., 2, 3) from landmarks (..., 5, 2) to the template's image."""
    return similarity(points, to.tensor(dtype=points.dtype, device=points.device))


def _scale(matrix: Tensor) -> float:
    """Mean linear magnification over the batch."""
    return float(torch.linalg.det(matrix[..., :2].double()).abs().sqrt().mean())


@full_precision
def warp(images: Tensor, matrix: Tensor, size: tuple[int, int], *, mode: str = 'bilinear', padding: str = 'border',
         antialias: bool = True) -> Tensor:
    """Resample images by transforms from input to output pixels. Returns (B,C,*size).

    Args:
        images: (B,C,H,W); half precision is converted to float32.
        matrix: (B,2,3) or (2,3).
        size: height and width of the output.
        mode: 'bilinear', 'bicubic' or 'nearest'.
        padding: 'border', 'zeros' or 'reflection'.
        antialias: low-pass filter the input if the transform reduces its size.
    """
    if matrix.dim() == 2:
        matrix = matrix.expand(len(images), 2, 3)
    matrix = matrix.to(device=images.device, dtype=torch.float32)
    scale = _scale(matrix)
    height, width = images.shape[-2:]
    if antialias and mode != 'nearest' and scale < 0.9:
        reduced = max(1, round(height * scale)), max(1, round(width * scale))
        images = F.interpolate(images, size=reduced, mode=mode, antialias=True)
        ry, rx = height / reduced[0], width / reduced[1]
        enlarge = matrix.new_tensor([[rx, 0, 0.5 * rx - 0.5], [0, ry, 0.5 * ry - 0.5]])
        matrix = compose(matrix, enlarge.expand_as(matrix))
        height, width = reduced
    inverse = invert(matrix)[..., None, None]  # output pixel -> input pixel, (B,2,3,1,1)
    ys, xs = torch.arange(size[0], device=matrix.device).view(-1, 1), torch.arange(size[1], device=matrix.device)
    grid = torch.stack([(row[:, 0] * xs + (row[:, 1] * ys + row[:, 2]) + 0.5) * (2 / side) - 1
                        for row, side in ((inverse[:, 0], width), (inverse[:, 1], height))], -1)  # (B,h,w,2) in [-1,1]
    grid = grid.to(images.dtype)
    return F.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=False)  # (B,C,*size)
