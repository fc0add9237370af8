"""Swaps of a fixed list of aligned images, written in the geometry of the target without blending."""
import sys
from pathlib import Path

import torch.nn.functional as F
from rich.console import Console
from rich.progress import track

from datasets.celeba import celeba
from datasets.samples.swaps import ListedSwaps
from models.base import Family
from models.batch import collate
from models.geometry import FACE_CORNER, FACE_SIDE, TEMPLATES
from models.images import to_uint8
from models.pipelines.io.images import write_image


def swap_pairs(family: Family, root: str | Path, pairs: str | Path, out: str | Path, *, device: str = 'cpu', batch: int = 32,
               overwrite: bool = False) -> tuple[int, int]:
    """Swap every row of a CSV (columns source, target: file names of aligned CelebA images under `root`) and write
    out/000000.png, 000001.png, ..., numbered by row: the target's 178x218 canvas with the generated square in it, without
    blending.

    Existing images are skipped unless `overwrite`. Returns the numbers of written and skipped images. Raises ValueError for an
    unusable root, list or image.
    """
    out = Path(out)
    faces = celeba(root, aligned=True)
    listed = ListedSwaps(faces, pairs, family.config.size)
    rows = [index for index in range(len(listed)) if overwrite or not _place(out, index).exists()]
    chunks = [rows[start:start + batch] for start in range(0, len(rows), batch)]
    for chunk in track(chunks, 'swapping', console=Console(stderr=True), disable=not sys.stderr.isatty()):
        swaps = family.generate(collate([listed[index] for index in chunk]).to(device))
        if swaps.shape[-1] != FACE_SIDE:
            swaps = F.interpolate(swaps.float(), (FACE_SIDE, FACE_SIDE), mode='bicubic', antialias=True)
        for index, square in zip(chunk, to_uint8(swaps)):
            write_image(_place(out, index), _on_canvas(faces, listed.pairs[index][1], square))
    return len(rows), len(listed) - len(rows)


def _place(out: Path, index: int) -> Path:
    return out / f'{index:06d}.png'


def _on_canvas(faces, index: int, square):
    """The square of the template `face`, (128,128,3) uint8, put back into image `index`."""
    canvas, frame = faces.read(index)[0], TEMPLATES['celeba']
    if canvas.shape[:2] != (frame.height, frame.width):
        raise ValueError(f'{faces.path(index)} is {canvas.shape[1]}x{canvas.shape[0]} and not {frame.width}x{frame.height}; '
                         'use the aligned images of CelebA')
    x, y = FACE_CORNER
    canvas[y:y + FACE_SIDE, x:x + FACE_SIDE] = square
    return canvas
