"""Reference images of a sampler from files, aligned and stacked."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.image_io import IMAGE_SUFFIXES
from models.perception.detection import Detector
from models.pipelines.framing import AlignedImage, align_image
from models.pipelines.io.images import read_image
from models.pipelines.report import Report


@dataclass(frozen=True)
class References:
    """R reference images.

    Attributes:
        names: name of each image.
        images: (R,3,S,S) in [-1,1].
        mask: (R,1,S,S) in [0,1], 0 outside of the original image.
    """

    names: list[str]
    images: Tensor
    mask: Tensor


def read_references(path: Path) -> dict[str, np.ndarray]:
    """An image, or the images of a folder, as (H,W,3) uint8 RGB by their stems; images that share a stem are named after the
    whole file name. Raises ValueError for a folder without images and as models.image_io.read_photo."""
    paths = [path]
    if path.is_dir():
        paths = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise ValueError(f'{path} contains no images ({", ".join(sorted(IMAGE_SUFFIXES))})')
    stems = [entry.stem for entry in paths]
    return {entry.stem if stems.count(entry.stem) == 1 else entry.name.replace('.', '-'): read_image(entry) for entry in paths}


def align_reference(name: str, image: np.ndarray, detector: Detector, size: int, template: str, report: Report) -> AlignedImage:
    """models.pipelines.framing.align_image, whose note is reported with the name of the image."""
    aligned = align_image(image, detector, size, template)
    if aligned.note:
        report.message(f'{name}: {aligned.note}')
    return aligned


def align_references(images: Mapping[str, np.ndarray], detector: Detector, size: int, template: str, report: Report, *,
                     device: str | torch.device = 'cpu') -> References:
    """Align images (H,W,3) uint8 RGB by name to squares of `size` pixels."""
    aligned = [align_reference(name, image, detector, size, template, report) for name, image in images.items()]
    return References(list(images), torch.cat([part.image for part in aligned]).to(device),
                      torch.cat([part.inside for part in aligned]).to(device))
