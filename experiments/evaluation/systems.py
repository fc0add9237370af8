"""Whatever puts faces on faces, behind one call: a trained family, a folder of images that another system made, and the sanity
rows that tell what a measure is worth."""
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
from models.pipelines import blend


@dataclass(frozen=True)
class Seen:
    """Pairs as a protocol shows them: batch; rows, their numbers; what the parser sees in source and target (B,M,M); face, the
    target's face mask (B,1,H,W), from known labels where there are any."""

    batch: SwapBatch
    rows: range
    source_labels: Tensor
    target_labels: Tensor
    face: Tensor


DIRECTIONS = ('a2b', 'b2a')  # of a translation between photos (a) and drawings (b)


class System:
    """name: of the table's row. key: of what its images depend on. family: the networks, where they are ours. directions: in
    which it translates."""

    name: str
    key: str
    family: Family | None = None
    directions: tuple[str, ...] = ()

    def swap(self, seen: Seen, *, seed: int = 0) -> Tensor:
        """(B,3,H,W) in [-1,1], of the size of the batch."""
        raise TypeError(f'{type(self).__name__} swaps nothing')

    def translate(self, images: Tensor, direction: str, *, seed: int = 0) -> Tensor:
        """Images (B,3,H,W) in [-1,1] of one domain -> the same of the other. direction: a2b or b2a."""
        raise TypeError(f'{type(self).__name__} translates nothing')


class Trained(System):
    """A family with the weights of a file."""

    def __init__(self, name: str, family: Family, file: Path):
        self.name, self.family, self.key = name, family, weights.digest(file)
        self.directions = getattr(family, 'directions', ())

    def swap(self, seen: Seen, *, seed: int = 0) -> Tensor:
        return self.paint(seen.batch, seed * 2 ** 31 + seen.rows[0])

    @torch.no_grad()
    def paint(self, batch: SwapBatch, seed: int = 0) -> Tensor:
        """(B,3,H,W) of the size of the batch, whatever size the family works in."""
        generator = torch.Generator(batch.target.device).manual_seed(seed)
        made = self.family.generate(resized(batch, self.family.config.size), generator=generator).float()
        return _fitted(made, batch.target.shape[-1]).clamp(-1, 1)

    def translate(self, images: Tensor, direction: str, *, seed: int = 0) -> Tensor:
        """models.translation.translator, whatever size the family works in; ValueError where the family translates nothing."""
        if not self.directions:
            raise ValueError(f'{type(self.family).__name__} swaps faces and translates nothing; give a run of a translator')
        generator = torch.Generator(images.device).manual_seed(seed)
        made = self.family.translate(_fitted(images, self.family.config.size), direction, generator=generator)
        return _fitted(made.float(), images.shape[-1])


class Images(System):
    """Images named by the row of the protocol's list (000000.png ...), in the template `face` or on CelebA's canvas, of any
    number of pixels. ValueError where one is missing."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        if not folder.is_dir():
            raise ValueError(f'{folder} is no folder of images; name the one that holds 000000.png, 000001.png, ...')
        stamps = sorted(f'{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}' for path in folder.iterdir())
        self.key = hashlib.sha256('\n'.join(stamps).encode()).hexdigest()

    def _read(self, row: int) -> Tensor:
        candidates = [self.folder / f'{row:06d}{suffix}' for suffix in ('.png', '.jpg', '.jpeg')]
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None:
            raise ValueError(f'{self.folder} lacks the image of row {row}, {row:06d}.png; pairs.csv says which it is')
        image = torch.from_numpy(read_image(path)).permute(2, 0, 1)[None].float() / 127.5 - 1
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

    def swap(self, seen: Seen, *, seed: int = 0) -> Tensor:
        side = seen.batch.target.shape[-1]
        return torch.cat([_fitted(self._read(row), side) for row in seen.rows]).clamp(-1, 1).to(seen.batch.target)


class CopyTarget(System):
    name, key = 'copy the target', 'copy-target-1'

    def swap(self, seen, *, seed=0):
        return seen.batch.target


class CopySource(System):
    name, key = 'copy the source', 'copy-source-1'

    def swap(self, seen, *, seed=0):
        return seen.batch.source


class Truth(System):
    name, key = 'the truth', 'truth-1'

    def swap(self, seen, *, seed=0):
        return seen.batch.truth


class Untranslated(System):
    """The sanity row of translations."""

    name, key, directions = 'none', 'none-1', DIRECTIONS

    def translate(self, images, direction, *, seed=0):
        return images


class CutAndPaste(System):
    """The source's face laid on the target's by a similarity of their five points, in the target's tones, under a soft mask."""

    name, key = 'cut and paste', 'cut-and-paste-1'

    def swap(self, seen, *, seed=0):
        batch = seen.batch
        size, parsed = batch.target.shape[-1], seen.target_labels.shape[-1]
        points = [(part_points(labels) + 0.5) * (size / parsed) - 0.5 for labels in (seen.source_labels, seen.target_labels)]
        usual = geometry.template('face').scaled(size).tensor(device=batch.target.device)
        whole = torch.stack([torch.isfinite(p).all((1, 2)) for p in points]).all(0)[:, None, None]
        here, there = (torch.where(whole, p, usual) for p in points)
        warped = geometry.warp(batch.source, geometry.similarity(here, there), (size, size), mode='bicubic').clamp(-1, 1)
        return torch.stack([_laid(*parts) for parts in zip(warped, batch.target, blend.soften(seen.face))])


def _laid(face: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """(3,H,W), (3,H,W), (1,H,W) -> (3,H,W)."""
    first, second = ((p.permute(1, 2, 0).cpu().numpy() + 1) / 2 for p in (face, target))
    tones = blend.match_color(first, second, mask[0].cpu().numpy())
    toned = torch.from_numpy(np.ascontiguousarray(tones)).permute(2, 0, 1).to(target) * 2 - 1
    return target + mask * (toned - target)


def sanity_rows(truth: bool) -> list[System]:
    """The rows that every table carries."""
    return [CopyTarget(), CopySource(), CutAndPaste(), *([Truth()] if truth else [])]


def resized(batch: SwapBatch, size: int) -> SwapBatch:
    """The batch at another number of pixels."""
    if batch.target.shape[-1] == size:
        return batch
    labels = batch.target_parsing
    if labels is not None:
        labels = F.interpolate(labels[:, None].float(), (size, size), mode='nearest-exact')[:, 0].long()
    return replace(batch, source=_fitted(batch.source, size), target=_fitted(batch.target, size), target_parsing=labels,
                   truth=None)


def _fitted(images: Tensor, side: int) -> Tensor:
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode='bicubic', antialias=True).clamp(-1, 1)
