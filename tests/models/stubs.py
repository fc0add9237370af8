"""Stubs of trained networks for tests of the pipelines."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS
from models.perception.detection import Detector, Face


class Painter(Family):
    """Swap family whose generator is a function of the batch."""

    task = 'swap'

    def __init__(self, paint, size: int = 64):
        super().__init__(FamilyConfig(size=size), None)
        self.paint = paint

    def generate(self, batch, *, generator=None):
        return self.paint(batch)


class MeanColor(nn.Module):
    """Identity encoder: the normalized mean color."""

    def forward(self, images):
        return F.normalize(images.mean((2, 3)) + 2, dim=1)


class Oval(nn.Module):
    """Parser of skin in a central oval on background. everywhere: one part for all pixels, 'background' or 'skin'."""

    def __init__(self, everywhere: str | None = None):
        super().__init__()
        self.everywhere = everywhere

    def forward(self, images):
        count, _, height, width = images.shape
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing='ij')
        inside = 10 * (1 - (x / 0.6) ** 2 - (y / 0.8) ** 2)
        logits = torch.full((count, len(PARTS), height, width), -20.0)
        logits[:, 0], logits[:, 1] = 0, {None: inside, 'background': -20, 'skin': 20}[self.everywhere]
        return logits


class Planted(Detector):
    """Detector of fixed faces. faces: (H,W) of an image -> its faces."""

    def __init__(self, faces: dict[tuple[int, int], list[Face]]):
        self.faces = faces

    def detect(self, image, *, turned=True):
        return self.faces.get(image.shape[:2], [])


def perception(parser=None) -> Perception:
    return Perception(MeanColor(), MeanColor(), parser)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random image (H,W,3) uint8."""
    noise = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(noise, (height, width), mode='bicubic').clamp(0, 1)[0]
    return (smooth.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def face_at(x: float, y: float, eyes: float, angle: float = 0.0) -> Face:
    """A face whose five points have their mean at (x, y), `eyes` pixels from eye to eye, rotated by `angle` degrees."""
    points = np.array([[-19, -21], [19, -21], [0, 3], [-17, 20], [17, 20]], np.float32) * eyes / 38
    turn = np.deg2rad(angle)
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32) + [x, y]
    return Face(np.array([x - eyes, y - 1.3 * eyes, x + eyes, y + 1.3 * eyes], np.float32), points.astype(np.float32), 1.0)
