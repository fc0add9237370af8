"""Evaluated systems behind one interface: trained families, folders of images of other systems, sanity baselines."""
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.faces import read_image
from experiments.evaluation.metrics.parts import part_points
from models import geometry, weights
from models.base import Family
from models.batch import SwapBatch
from models.geometry import FACE_CORNER, FACE_SIDE, TEMPLATES
from models.images import to_tensor
from models.pipelines import blend
from models.pipelines.translate import TranslatorFamily


@dataclass(frozen=True)
class ProtocolBatch:
    """A batch of a protocol."""

    batch: SwapBatch
    rows: range            # indices of the pairs
    source_labels: Tensor  # (B,M,M), predicted label maps of PARTS
    target_labels: Tensor  # (B,M,M)
    face: Tensor           # (B,1,H,W), face mask of the target, from the true label map where the protocol has one


DIRECTIONS = ('a2b', 'b2a')  # directions of translation between photos (a) and drawings (b)


class System:
    """Interface of an evaluated system.

    name: title of its row; key: text that identifies all inputs and weights its images depend on; family: its networks, None for
    systems without networks; directions: directions of translation, empty for swap systems.
    """

    name: str
    key: str
    family: Family | None = None
    directions: tuple[str, ...] = ()

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        """Swapped images (B,3,H,W) in [-1,1], at the size of the batch. Raises TypeError for other systems."""
        raise TypeError(f'{type(self).__name__} is no swap system')

    def translate(self, images: Tensor, direction: str, *, seed: int = 0) -> Tensor:
        """Translated images (B,3,H,W) in [-1,1]. direction: a2b or b2a. Raises TypeError for other systems."""
        raise TypeError(f'{type(self).__name__} is no translation system')


class Trained(System):
    """A family with weights loaded from a file."""

    family: Family

    def __init__(self, name: str, family: Family, file: Path):
        self.name, self.family, self.key = name, family, weights.digest(file)
        self.directions = getattr(family, 'directions', ())

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        return self.generate(pairs.batch, seed * 2 ** 31 + pairs.rows[0])

    @torch.no_grad()
    def generate(self, batch: SwapBatch, seed: int = 0) -> Tensor:
        """Swaps (B,3,H,W) resized from the size of the family to that of the batch."""
        generator = torch.Generator(batch.target.device).manual_seed(seed)
        generated = self.family.generate(resized(batch, self.family.config.size), generator=generator).float()
        return _resize(generated, batch.target.shape[-1]).clamp(-1, 1)

    def translate(self, images: Tensor, direction: str, *, seed: int = 0) -> Tensor:
        """Translations resized from the size of the family to that of the images. Raises ValueError for a swap family."""
        if not isinstance(self.family, TranslatorFamily):
            raise ValueError(f'{type(self.family).__name__} is a swap family; give a run of a translation family')
        generator = torch.Generator(images.device).manual_seed(seed)
        generated = self.family.translate(_resize(images, self.family.config.size), direction, generator=generator)
        return _resize(generated.float(), images.shape[-1])


class Images(System):
    """A folder of images of another system, named by the row of the protocol (000000.png, ...).

    Images are in the template `face` or on the canvas of CelebA, at any resolution. Raises ValueError for missing images.
    """

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        if not folder.is_dir():
            raise ValueError(f'{folder} is no folder; give the one that contains 000000.png, 000001.png, ...')
        files = sorted(f'{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}' for path in folder.iterdir())
        self.key = hashlib.sha256('\n'.join(files).encode()).hexdigest()

    def _read(self, row: int) -> Tensor:
        candidates = [self.folder / f'{row:06d}{suffix}' for suffix in ('.png', '.jpg', '.jpeg')]
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None:
            raise ValueError(f'{self.folder} lacks the image of row {row}, {row:06d}.png; pairs.csv lists the rows')
        image = to_tensor(read_image(path))[None]
        height, width = image.shape[-2:]
        if height == width:
            return image
        canvas = TEMPLATES['celeba']
        if abs(height * canvas.width - width * canvas.height) > max(height, width):
            raise ValueError(f'{path} is {width} x {height}: neither a square nor in the proportions of {canvas.width} x '
                             f'{canvas.height}')
        scale = width / canvas.width
        x, y, side = (round(value * scale) for value in (*FACE_CORNER, FACE_SIDE))
        return image[..., y:y + side, x:x + side]

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        side = pairs.batch.target.shape[-1]
        return torch.cat([_resize(self._read(row), side) for row in pairs.rows]).clamp(-1, 1).to(pairs.batch.target)


class CopyTarget(System):
    """Sanity baseline: the unchanged target."""

    name, key = 'copy the target', 'copy-target-1'

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        return pairs.batch.target


class CopySource(System):
    """Sanity baseline: the unchanged source."""

    name, key = 'copy the source', 'copy-source-1'

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        return pairs.batch.source


class Truth(System):
    """Sanity baseline: the true swap."""

    name, key = 'the truth', 'truth-1'

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        if pairs.batch.truth is None:
            raise ValueError('the protocol has no true swaps')
        return pairs.batch.truth


class Untranslated(System):
    """Identity function, the sanity baseline of translations."""

    name, key, directions = 'none', 'none-1', DIRECTIONS

    def translate(self, images: Tensor, direction: str, *, seed: int = 0) -> Tensor:
        return images


class CutAndPaste(System):
    """Sanity baseline: the source face warped to the target by a similarity of five landmarks, color-matched and blended."""

    name, key = 'cut and paste', 'cut-and-paste-1'

    def swap(self, pairs: ProtocolBatch, *, seed: int = 0) -> Tensor:
        batch = pairs.batch
        size, label_size = batch.target.shape[-1], pairs.target_labels.shape[-1]
        points = [(part_points(labels) + 0.5) * (size / label_size) - 0.5
                  for labels in (pairs.source_labels, pairs.target_labels)]
        template = geometry.template('face').scaled(size).tensor(device=batch.target.device)
        visible = torch.stack([torch.isfinite(values).all((1, 2)) for values in points]).all(0)[:, None, None]
        source_points, target_points = (torch.where(visible, values, template) for values in points)
        matrix = geometry.similarity(source_points, target_points)
        warped = geometry.warp(batch.source, matrix, (size, size), mode='bicubic').clamp(-1, 1)
        return torch.stack([_composite(*parts) for parts in zip(warped, batch.target, blend.soften(pairs.face))])


def _composite(face: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Color-matched alpha blending: (3,H,W), (3,H,W), mask (1,H,W) -> (3,H,W)."""
    first, second = ((image.permute(1, 2, 0).cpu().numpy() + 1) / 2 for image in (face, target))
    matched = blend.match_color(first, second, mask[0].cpu().numpy())
    matched_face = torch.from_numpy(np.ascontiguousarray(matched)).permute(2, 0, 1).to(target) * 2 - 1
    return target + mask * (matched_face - target)


def sanity_rows(truth: bool) -> list[System]:
    """Sanity baselines of swap tables. truth: whether the protocol has true swaps."""
    return [CopyTarget(), CopySource(), CutAndPaste(), *([Truth()] if truth else [])]


def resized(batch: SwapBatch, size: int) -> SwapBatch:
    """The batch resized to images of `size` pixels."""
    if batch.target.shape[-1] == size:
        return batch
    labels = batch.target_parsing
    if labels is not None:
        labels = F.interpolate(labels[:, None].float(), (size, size), mode='nearest-exact')[:, 0].long()
    return replace(batch, source=_resize(batch.source, size), target=_resize(batch.target, size), target_parsing=labels,
                   truth=None)


def _resize(images: Tensor, side: int) -> Tensor:
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode='bicubic', antialias=True).clamp(-1, 1)
