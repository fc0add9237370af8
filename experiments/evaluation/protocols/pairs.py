"""Swaps of a fixed list of aligned images, written in the geometry of the target without blending."""
import sys
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track

from datasets.celeba import celeba
from datasets.faces import Faces
from datasets.samples.swaps import ListedSwaps
from models.base import Family
from models.batch import collate
from models.geometry import FACE_CORNER, FACE_SIDE, TEMPLATES
from models.images import to_uint8
from models.pipelines.io.images import write_image


def swap_pairs(family: Family, root: str | Path, pairs: str | Path, out: str | Path, *, device: str = 'cpu', batch: int = 32,
               overwrite: bool = False) -> tuple[int, int]:
    """Swap the pairs of a list and write out/000000.png, 000001.png, ..., numbered by row.

    An image is the target's 178x218 canvas with the generated square in it, without blending.

    Args:
        root: folder of aligned CelebA images.
        pairs: CSV file with the columns source and target, file names below the root.
        batch: pairs per batch.
        overwrite: whether to replace existing images; they are skipped otherwise.

    Returns:
        Numbers of written and skipped images.

    Raises:
        ValueError: the root, the list or an image is unusable.
    """
    out = Path(out)
    faces = celeba(root, aligned=True)
    dataset = ListedSwaps(faces, pairs, family.config.size)
    rows = [index for index in range(len(dataset)) if overwrite or not _image_path(out, index).exists()]
    chunks = [rows[start:start + batch] for start in range(0, len(rows), batch)]
    for chunk in track(chunks, 'swapping', console=Console(stderr=True), disable=not sys.stderr.isatty()):
        swaps = family.generate(collate([dataset[index] for index in chunk]).to(device))
        if swaps.shape[-1] != FACE_SIDE:
            swaps = F.interpolate(swaps.float(), (FACE_SIDE, FACE_SIDE), mode='bicubic', antialias=True)
        for index, square in zip(chunk, to_uint8(swaps)):
            write_image(_image_path(out, index), _paste(faces, dataset.pairs[index][1], square))
    return len(rows), len(dataset) - len(rows)


def _image_path(out: Path, index: int) -> Path:
    return out / f'{index:06d}.png'


def _paste(faces: Faces, index: int, square: np.ndarray) -> np.ndarray:
    """Image `index` (218,178,3) uint8 with the square (128,128,3) uint8 of the template `face` in it."""
    canvas, frame = faces.read(index)[0], TEMPLATES['celeba']
    if canvas.shape[:2] != (frame.height, frame.width):
        raise ValueError(f'{faces.path(index)} is {canvas.shape[1]}x{canvas.shape[0]} and not {frame.width}x{frame.height}; '
                         'use the aligned images of CelebA')
    x, y = FACE_CORNER
    canvas[y:y + FACE_SIDE, x:x + FACE_SIDE] = square
    return canvas
