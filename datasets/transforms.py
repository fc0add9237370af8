"""Joint transforms of image, label map and landmarks, and the way into the template `face`."""
import functools
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from models import geometry
from models.batch import MIRRORED_IDS, PARTS
from models.geometry import FACE_CORNER, FACE_SIDE, TEMPLATES, Template

MIRRORED = np.arange(256, dtype=np.uint8)  # MIRRORED_IDS for a whole byte: ids that are none of PARTS stay
MIRRORED[:len(PARTS)] = MIRRORED_IDS
_MIRRORED_POINTS = [1, 0, 2, 4, 3]
_LOWEST = torch.tensor(-1.0)


def unit(image: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1,1]."""
    levels = image.float()
    # In one pass, as loading is bound by memory; a hair under 2 / 255, so that 255 is not rounded to above 1.
    return torch.add(_LOWEST, levels, alpha=(2 - 2 ** -22) / 255, out=levels)


def unpacked(batch):
    """The same batch or sample with uint8 images as float32 in [-1,1] and uint8 label maps as int64."""
    stored = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{name: value.long() if name == 'target_parsing' else unit(value)
                             for name, value in stored.items() if value is not None and value.dtype == torch.uint8})


def first(batch):
    """The first sample of a batch, without the batch dimension."""
    return batch.map(lambda value: value[0])


@dataclass(frozen=True)
class Jitter:
    """What augmentation does to one image: geometry first, then color. The default changes nothing.

    angle in degrees, shift in parts of the side, the rest as factors around 1.
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
    """How far `Jitter` may go. Draws are uniform in +- the given range; `affine` of the images are moved at all, and of `crops`
    a random square of at least `area` of the image is taken."""

    flip: float = 0.5
    affine: float = 0.5
    angle: float = 4.0
    scale: float = 0.04
    shift: float = 0.02
    color: float = 0.1
    crops: float = 0.0
    area: float = 0.748

    def draw(self, rng: np.random.Generator) -> Jitter:
        flip, moved, *rest = rng.random(9).tolist()
        flip, moved = flip < self.flip, moved < self.affine
        angle, scale, dx, dy, *color = [2 * value - 1 for value in rest]
        color = [1 + self.color * float(value) for value in color]
        if self.crops and rng.random() < self.crops:
            side = float(np.sqrt(rng.uniform(self.area, 1)))
            free = (1 - side) / (2 * side)
            return Jitter(flip, 0.0, 1 / side, (free * float(dx), free * float(dy)), *color)
        if not moved:
            return Jitter(flip, 0.0, 1.0, (0.0, 0.0), *color)
        return Jitter(flip, self.angle * float(angle), 1 + self.scale * float(scale),
                      (self.shift * float(dx), self.shift * float(dy)), *color)


def resampled(image: Tensor, matrix: Tensor, size: tuple[int, int], *, mask: bool = False) -> Tensor:
    """An image or a mask (C,H,W) in another frame of `size` (height, width) by a (2,3) matrix. Images are resampled by cubics,
    which keep them sharp, and filtered where they shrink; masks take the nearest pixel, and what lies outside repeats the border.
    A matrix that only cuts out whole pixels and scales is done as cut and antialiased resize."""
    box = _whole_pixels(matrix, size, image.shape[-2:])
    if box is None:
        part, matrix = _near(image, matrix, size)
        if not mask and torch.linalg.det(matrix[:, :2]) > 0.8:  # hardly shrinks: no filter, for which OpenCV is the quickest
            part = cv2.warpAffine(part.permute(1, 2, 0).numpy(), matrix.numpy(), size[::-1], flags=cv2.INTER_CUBIC,
                                  borderMode=cv2.BORDER_REPLICATE)
            return torch.from_numpy(part).permute(2, 0, 1)
        part = geometry.warp(part[None].float(), matrix, size, mode='nearest' if mask else 'bicubic')[0]
        return (part if mask else part.round().clamp(0, 255)).to(image.dtype)
    top, left, height, width = box
    image = image[..., top:top + height, left:left + width]
    if (height, width) == size:
        return image
    from torchvision.transforms import v2  # takes seconds and 170 MB, which the help texts of the scripts do without

    mode = v2.InterpolationMode.NEAREST_EXACT if mask else v2.InterpolationMode.BICUBIC
    return v2.functional.resize(image, list(size), interpolation=mode, antialias=not mask)


def mirrored(image: Tensor, labels: Tensor | None, points: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Image (3,H,W), label map (H,W) and landmarks (5,2) flipped so that left is still left: labels and landmarks of the two
    sides change places."""
    if labels is not None:
        labels = torch.from_numpy(cv2.LUT(cv2.flip(labels.byte().numpy(), 1), MIRRORED)).to(labels.dtype)
    if points is not None:
        points = points.numpy()[_MIRRORED_POINTS]
        points[:, 0] = image.shape[-1] - 1 - points[:, 0]
        points = torch.from_numpy(points)
    return image.flip(-1), labels, points


def colored(image: Tensor, jitter: Jitter) -> Tensor:
    """uint8 (3,H,W) with brightness, contrast and saturation changed by known factors: the three steps b x,
    c x + (1 - c) mean(gray(x)) and s x + (1 - s) gray(x) in one, limited to the range at the end."""
    from torchvision.transforms.v2 import functional as F

    levels = image.float()
    gray = F.rgb_to_grayscale(levels)
    gain = jitter.brightness * jitter.contrast
    offset = gray * (gain * (1 - jitter.saturation)) + (1 - jitter.contrast) * jitter.brightness * gray.mean()
    return levels.mul_(gain * jitter.saturation).add_(offset).round_().clamp_(0, 255).byte()


def face_frame(size: int, side: float = FACE_SIDE) -> Template:
    """The template of a square of `side` CelebA pixels around the center of `face`, seen at `size` pixels. A side above 128
    leaves room for jitter."""
    margin = (side - FACE_SIDE) / 2
    corner = FACE_CORNER[0] - margin, FACE_CORNER[1] - margin
    scale = size / side
    return Template(size, size, tuple(((x - corner[0] + 0.5) * scale - 0.5, (y - corner[1] + 0.5) * scale - 0.5)
                                      for x, y in TEMPLATES['celeba'].points))


def into_frame(image: np.ndarray, labels: np.ndarray | None, points: np.ndarray | None, frame: Template | None, to: Template,
               jitter: Jitter | None = None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """A stored image (H,W,3) uint8 with its label map (H,W) and landmarks (5,2) as it looks in the template `to`.

    An aligned image (`frame` says how) is cut and scaled, another one is aligned by its landmarks, and of one without
    either the central part is taken. Returns image (3,h,w) float32 in [-1,1], label map (h,w) int64 or None, landmarks
    (5,2) float32 or None.
    """
    jitter = jitter or Jitter()
    height, width = image.shape[:2]
    still = (jitter.angle, jitter.scale, jitter.shift) == (0.0, 1.0, (0.0, 0.0))
    image = torch.from_numpy(image).permute(2, 0, 1)
    labels = None if labels is None else torch.from_numpy(labels)
    points = None if points is None else torch.as_tensor(points, dtype=torch.float32)
    # Only what changes something: a packed image often fits as it is.
    if not (still and frame == to and (to.height, to.width) == (height, width)):
        size = to.height, to.width
        matrix = matrix_into(to, (height, width), points, frame)
        matrix = matrix if still else geometry.compose(_move(jitter, to), matrix)
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
    """Asked for with every image, but the same throughout an aligned data set."""
    return geometry.between(frame.scaled(width, height), to)


def _move(jitter: Jitter, to: Template) -> Tensor:
    """Rotation and scale about the image's center, then a shift."""
    angle = np.deg2rad(jitter.angle)
    a, b = jitter.scale * np.cos(angle), jitter.scale * np.sin(angle)
    x, y = (to.width - 1) / 2, (to.height - 1) / 2
    return torch.tensor([[a, -b, x - a * x + b * y + jitter.shift[0] * to.width],
                         [b, a, y - b * x - a * y + jitter.shift[1] * to.height]], dtype=torch.float32)


def _whole_pixels(matrix: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(top, left, height, width) of the input that becomes the output, where it is a box of whole pixels inside the input."""
    (a, b, tx), (c, d, ty) = matrix.tolist()
    if max(abs(b), abs(c), abs(a - d)) > 1e-5 * abs(a):
        return None
    # Pixel areas: the output's corner at -0.5 lies at the input's (-0.5 - t) / a, and areas begin half a pixel before.
    box = ((-0.5 - ty) / a + 0.5, (-0.5 - tx) / a + 0.5, size[0] / a, size[1] / a)
    top, left, height, width = whole = tuple(round(value) for value in box)
    if max(abs(exact - value) for exact, value in zip(box, whole)) > 1e-2 or min(top, left) < 0:
        return None
    return whole if top + height <= shape[0] and left + width <= shape[1] else None


def _near(image: Tensor, matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The part of the image that the output can see (with room for the filter), and the matrix from there."""
    height, width = image.shape[-2:]
    corners = torch.tensor([[0., 0.], [size[1] - 1., 0.], [0., size[0] - 1.], [size[1] - 1., size[0] - 1.]])
    back = geometry.invert(matrix)
    seen = geometry.apply(back, corners)
    room = 3 * max(1.0, float(torch.linalg.det(back[:, :2]).abs().sqrt()))
    low, high = (seen.amin(0) - room).floor(), (seen.amax(0) + room).ceil() + 1
    left, right = (int(value) for value in torch.stack([low[0], high[0]]).clamp(0, width))
    top, bottom = (int(value) for value in torch.stack([low[1], high[1]]).clamp(0, height))
    if right - left < 1 or bottom - top < 1:
        return image, matrix
    shifted = geometry.compose(matrix, torch.tensor([[1., 0., left], [0., 1., top]]))
    return image[..., top:bottom, left:right], shifted
