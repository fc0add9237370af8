"""Stubs of trained networks and detectors, and synthetic photos, for tests of pipelines."""
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Family, FamilyConfig, Perception
from models.batch import PARTS, SwapBatch
from models.perception.detection import Detector, Face


class FunctionFamily(Family):
    """A swap family whose images are a function of the batch."""

    task = 'swap'

    def __init__(self, function: Callable[[SwapBatch], Tensor], size: int = 64, perception: Perception | None = None):
        super().__init__(FamilyConfig(size=size), perception)
        self.function = function

    def generate(self, batch: SwapBatch, *, generator: torch.Generator | None = None) -> Tensor:
        return self.function(batch)


class MeanColorEncoder(nn.Module):
    """Identity embedding of an image: its normalized mean color."""

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(images.mean((2, 3)) + 2, dim=1)


class OvalParser(nn.Module):
    """Parses a centered oval as skin and the rest as background. everywhere: 'background' or 'skin' for the whole image."""

    def __init__(self, everywhere: str | None = None):
        super().__init__()
        self.everywhere = everywhere

    def forward(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing='ij')
        inside = 10 * (1 - (x / 0.6) ** 2 - (y / 0.8) ** 2)
        logits = torch.full((count, len(PARTS), height, width), -20.0)
        logits[:, 0], logits[:, 1] = 0, {None: inside, 'background': -20, 'skin': 20}[self.everywhere]
        return logits


class FixedDetector(Detector):
    """Returns fixed faces for each shape (H,W) of an image."""

    def __init__(self, faces: dict[tuple[int, int], list[Face]]):
        self.faces = faces

    def detect(self, image: np.ndarray, *, any_rotation: bool = True) -> list[Face]:
        return self.faces.get(image.shape[:2], [])


def perception(parser: nn.Module | None = None) -> Perception:
    """Networks with MeanColorEncoder as encoder and teacher."""
    return Perception(MeanColorEncoder(), MeanColorEncoder(), parser)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random image (H,W,3) uint8."""
    noise = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(noise, (height, width), mode='bicubic').clamp(0, 1)[0]
    return (smooth.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def face_at(x: float, y: float, eyes: float, angle: float = 0.0) -> Face:
    """A face with the mean of its landmarks at (x, y), `eyes` pixels between the eyes, rotated by `angle` degrees."""
    points = np.array([[-19, -21], [19, -21], [0, 3], [-17, 20], [17, 20]], np.float32) * eyes / 38
    radians = np.deg2rad(angle)
    cosine, sine = np.cos(radians), np.sin(radians)
    points = points @ np.array([[cosine, sine], [-sine, cosine]], np.float32) + [x, y]
    return Face(np.array([x - eyes, y - 1.3 * eyes, x + eyes, y + 1.3 * eyes], np.float32), points.astype(np.float32), 1.0)
