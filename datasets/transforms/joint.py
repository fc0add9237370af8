"""Joint transforms of image, label map and landmarks, and alignment to the template `face`."""
import functools
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from models import geometry
from models.batch import MIRRORED_IDS, PARTS, CauseBatch, FaceBatch, PairBatch, ParsingBatch, SwapBatch
from models.geometry import FACE_CORNER, FACE_SIDE, TEMPLATES, Template

MIRRORED = np.arange(256, dtype=np.uint8)  # MIRRORED_IDS for all byte values: other ids map to themselves
MIRRORED[:len(PARTS)] = MIRRORED_IDS
_MIRRORED_POINTS = [1, 0, 2, 4, 3]
_LOWEST = torch.tensor(-1.0)
Batch = TypeVar('Batch', SwapBatch, PairBatch, FaceBatch, ParsingBatch, CauseBatch)


def to_signed_float(image: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1,1]."""
    levels = image.float()
    # One pass, as loading is memory-bound; slightly below 2 / 255, so that 255 does not round to above 1.
    return torch.add(_LOWEST, levels, alpha=(2 - 2 ** -22) / 255, out=levels)


def unpacked(batch: Batch) -> Batch:
    """The same batch or sample with uint8 images as float32 in [-1,1] and uint8 label maps as int64."""
    stored = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{name: value.long() if name == 'target_parsing' else to_signed_float(value)
                             for name, value in stored.items() if value is not None and value.dtype == torch.uint8})


def first(batch: Batch) -> Batch:
    """The first sample of a batch, without the batch dimension."""
    return batch.map(lambda value: value[0])


@dataclass(frozen=True)
class Jitter:
    """Parameters of the augmentation of one image, geometry before color. The default is the identity transform.

    angle in degrees; shift as a fraction of the side; scale, brightness, contrast and saturation as factors.
    """

    flip: bool = False
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


@dataclass(frozen=True)
class Augmentation:
    """Distribution of `Jitter`; values are uniform in +- the given ranges.

    flip, affine, crops: probabilities of a horizontal flip, of an affine transform and of a random square crop, which replaces
    the affine transform. angle: in degrees. scale, color: offsets of the factors from 1. shift: fraction of the side. area:
    smallest area of a crop, as a fraction of the image.
    """

    flip: float = 0.5
    affine: float = 0.5
    angle: float = 4.0
    scale: float = 0.04
    shift: float = 0.02
    color: float = 0.1
    crops: float = 0.0
    area: float = 0.748

    def sample(self, rng: np.random.Generator) -> Jitter:
        """Sample the parameters for one image."""
        flip_value, affine_value, *rest = rng.random(9).tolist()
        flip = flip_value < self.flip
        angle, scale, dx, dy, *color_offsets = [2 * value - 1 for value in rest]
        color = [1 + self.color * float(value) for value in color_offsets]
        if self.crops and rng.random() < self.crops:
            side = float(np.sqrt(rng.uniform(self.area, 1)))
            free = (1 - side) / (2 * side)
            return Jitter(flip, 0.0, 1 / side, (free * float(dx), free * float(dy)), *color)
        if affine_value >= self.affine:
            return Jitter(flip, 0.0, 1.0, (0.0, 0.0), *color)
        return Jitter(flip, self.angle * float(angle), 1 + self.scale * float(scale),
                      (self.shift * float(dx), self.shift * float(dy)), *color)


def resampled(image: Tensor, matrix: Tensor, size: tuple[int, int], *, mask: bool = False) -> Tensor:
    """An image or a mask (C,H,W) warped by a (2,3) matrix to `size` (height, width).

    Images use bicubic interpolation, antialiased when they shrink; masks use nearest-neighbor interpolation; the border is
    replicated. A matrix that is a scaled crop of whole pixels is computed as a crop and an antialiased resize.
    """
    box = _whole_pixels(matrix, size, (image.shape[-2], image.shape[-1]))
    if box is None:
        part, matrix = _footprint(image, matrix, size)
        if not mask and torch.linalg.det(matrix[:, :2]) > 0.8:  # no antialiasing needed; OpenCV is the fastest
            warped = cv2.warpAffine(part.permute(1, 2, 0).numpy(), matrix.numpy(), size[::-1], flags=cv2.INTER_CUBIC,
                                    borderMode=cv2.BORDER_REPLICATE)
            return torch.from_numpy(warped).permute(2, 0, 1)
        part = geometry.warp(part[None].float(), matrix, size, mode='nearest' if mask else 'bicubic')[0]
        return (part if mask else part.round().clamp(0, 255)).to(image.dtype)
    top, left, height, width = box
    image = image[..., top:top + height, left:left + width]
    if (height, width) == size:
        return image
    from torchvision.transforms import v2  # slow to import, not needed for --help

    mode = v2.InterpolationMode.NEAREST_EXACT if mask else v2.InterpolationMode.BICUBIC
    return v2.functional.resize(image, list(size), interpolation=mode, antialias=not mask)


def mirrored(image: Tensor, labels: Tensor | None, points: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Image (3,H,W), label map (H,W) and landmarks (5,2) flipped horizontally; left and right labels and landmarks
    are exchanged."""
    if labels is not None:
        labels = torch.from_numpy(cv2.LUT(cv2.flip(labels.byte().numpy(), 1), MIRRORED)).to(labels.dtype)
    if points is not None:
        points = points[_MIRRORED_POINTS]
        points[:, 0] = image.shape[-1] - 1 - points[:, 0]
    return image.flip(-1), labels, points


def colored(image: Tensor, jitter: Jitter) -> Tensor:
    """uint8 (3,H,W) with brightness, contrast and saturation scaled by the factors of `jitter`: the steps b x,
    c x + (1 - c) mean(gray(x)) and s x + (1 - s) gray(x) in one, clamped at the end."""
    from torchvision.transforms.v2 import functional as F

    levels = image.float()
    gray = F.rgb_to_grayscale(levels)
    gain = jitter.brightness * jitter.contrast
    offset = gray * (gain * (1 - jitter.saturation)) + (1 - jitter.contrast) * jitter.brightness * gray.mean()
    return levels.mul_(gain * jitter.saturation).add_(offset).round_().clamp_(0, 255).byte()


def face_frame(size: int, side: float = FACE_SIDE) -> Template:
    """The template of a square of `side` CelebA pixels around the center of `face`, resized to `size` pixels. A side above 128
    leaves a margin for augmentation."""
    margin = (side - FACE_SIDE) / 2
    corner = FACE_CORNER[0] - margin, FACE_CORNER[1] - margin
    scale = size / side
    return Template(size, size, tuple(((x - corner[0] + 0.5) * scale - 0.5, (y - corner[1] + 0.5) * scale - 0.5)
                                      for x, y in TEMPLATES['celeba'].points))


def into_frame(pixels: np.ndarray, label_map: np.ndarray | None, landmarks: np.ndarray | None, frame: Template | None,
               to: Template, jitter: Jitter | None = None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """A stored image (H,W,3) uint8 with its label map (H,W) and landmarks (5,2), warped to the template `to`.

    An image aligned to the template `frame` is cropped and scaled, an image with landmarks is aligned by them, and of other
    images the central part is used. Returns image (3,h,w) uint8, label map (h,w) uint8 or None, landmarks (5,2) float32 or None.
    """
    jitter = jitter or Jitter()
    height, width = pixels.shape[:2]
    is_unmoved = (jitter.angle, jitter.scale, jitter.shift) == (0.0, 1.0, (0.0, 0.0))
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    labels = None if label_map is None else torch.from_numpy(label_map)
    points = None if landmarks is None else torch.as_tensor(landmarks, dtype=torch.float32)
    # Skipped for the identity transform, which is frequent for cached images.
    if not (is_unmoved and frame == to and (to.height, to.width) == (height, width)):
        size = to.height, to.width
        matrix = matrix_into(to, (height, width), landmarks, frame)
        matrix = matrix if is_unmoved else geometry.compose(_jitter_matrix(jitter, to), matrix)
        image = resampled(image, matrix, size)
        labels = None if labels is None else resampled(labels[None], matrix, size, mask=True)[0]
        points = None if points is None else geometry.apply(matrix, points)
    if jitter.flip:
        image, labels, points = mirrored(image, labels, points)
    if (jitter.brightness, jitter.contrast, jitter.saturation) != (1.0, 1.0, 1.0):
        image = colored(image, jitter)
    return image, labels, points


def matrix_into(to: Template, shape: tuple[int, int], points: np.ndarray | None, frame: Template | None) -> Tensor:
    """(2,3): from pixels of a stored image of `shape` (height, width) to pixels of the template `to`."""
    height, width = shape
    if frame is not None:
        return _between(frame, width, height, to)
    if points is not None:
        return geometry.align(torch.as_tensor(points, dtype=torch.float32), to)
    scale = max(to.width / width, to.height / height)
    x, y = (to.width - 1 - scale * (width - 1)) / 2, (to.height - 1 - scale * (height - 1)) / 2
    return torch.tensor([[scale, 0, x], [0, scale, y]])


@functools.lru_cache(maxsize=64)
def _between(frame: Template, width: int, height: int, to: Template) -> Tensor:
    """Transform between templates, cached as it is the same for all images of an aligned data set."""
    return geometry.between(frame.scaled(width, height), to)


def _jitter_matrix(jitter: Jitter, to: Template) -> Tensor:
    """Rotation and scale about the image's center, then a shift."""
    angle = np.deg2rad(jitter.angle)
    a, b = jitter.scale * np.cos(angle), jitter.scale * np.sin(angle)
    x, y = (to.width - 1) / 2, (to.height - 1) / 2
    return torch.tensor([[a, -b, x - a * x + b * y + jitter.shift[0] * to.width],
                         [b, a, y - b * x - a * y + jitter.shift[1] * to.height]], dtype=torch.float32)


def _whole_pixels(matrix: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(top, left, height, width) of the input that maps to the output if it has whole pixels, otherwise None."""
    (a, b, tx), (c, d, ty) = matrix.tolist()
    if max(abs(b), abs(c), abs(a - d)) > 1e-5 * abs(a):
        return None
    # Pixel areas: the output's corner at -0.5 lies at the input's (-0.5 - t) / a, and areas begin half a pixel before.
    box = ((-0.5 - ty) / a + 0.5, (-0.5 - tx) / a + 0.5, size[0] / a, size[1] / a)
    top, left, height, width = whole = tuple(round(value) for value in box)
    if max(abs(exact - value) for exact, value in zip(box, whole)) > 1e-2 or min(top, left) < 0:
        return None
    return whole if top + height <= shape[0] and left + width <= shape[1] else None


def _footprint(image: Tensor, matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The part of the image that the output depends on, with a margin for the filter, and the matrix from that part."""
    height, width = image.shape[-2:]
    corners = torch.tensor([[0., 0.], [size[1] - 1., 0.], [0., size[0] - 1.], [size[1] - 1., size[0] - 1.]])
    back = geometry.invert(matrix)
    source_corners = geometry.apply(back, corners)
    margin = 3 * max(1.0, float(torch.linalg.det(back[:, :2]).abs().sqrt()))
    low, high = (source_corners.amin(0) - margin).floor(), (source_corners.amax(0) + margin).ceil() + 1
    left, right = (int(value) for value in torch.stack([low[0], high[0]]).clamp(0, width))
    top, bottom = (int(value) for value in torch.stack([low[1], high[1]]).clamp(0, height))
    if right - left < 1 or bottom - top < 1:
        return image, matrix
    shifted = geometry.compose(matrix, torch.tensor([[1., 0., left], [0., 1., top]]))
    return image[..., top:bottom, left:right], shifted
