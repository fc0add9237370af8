"""Grids of image tensors with column titles, and PNG encoding."""
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.images import to_uint8

GAP_PX = 4  # between images
BACKGROUND_LEVEL, TEXT_RGB = 255, (20, 20, 20)
_TITLE_PX = 18  # height of the line of titles


def grid(columns: dict[str, Tensor], rows: int = 8) -> np.ndarray:
    """Arrange batches of images in columns.

    Args:
        columns: title -> images (B,3,h,w) in [-1,1], with the same B in all columns.
        rows: maximum number of samples.

    Returns:
        (H,W,3) uint8.

    Raises:
        ValueError: a column holds no images, or the columns differ in B.
    """
    for title, images in columns.items():
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f'the column {title!r} has the shape {tuple(images.shape)}, not (B, 3, H, W)')
    counts = {len(images) for images in columns.values()}
    if len(counts) != 1:
        raise ValueError(f'the columns hold different numbers of images: {sorted(counts)}')
    arrays = {title: to_uint8(images[:rows]) for title, images in columns.items()}
    rows = min(rows, counts.pop())
    height = max(images.shape[1] for images in arrays.values())
    font = ImageFont.load_default(12)
    widths = [max(images.shape[2], round(font.getlength(title))) for title, images in arrays.items()]
    size = sum(widths) + GAP_PX * (len(widths) + 1), _TITLE_PX + rows * (height + GAP_PX)
    sheet = Image.new('RGB', size, (BACKGROUND_LEVEL,) * 3)
    draw = ImageDraw.Draw(sheet)
    left = GAP_PX
    for (title, array), width in zip(arrays.items(), widths):
        draw.text((left, 2), title, fill=TEXT_RGB, font=font)
        for row in range(rows):
            sheet.paste(Image.fromarray(array[row]), (left, _TITLE_PX + row * (height + GAP_PX)))
        left += width + GAP_PX
    return np.asarray(sheet)


def encode_png(image: np.ndarray) -> bytes:
    """(H,W,3) uint8 -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG')
    return buffer.getvalue()
