"""Images side by side, with titles."""
import io

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP = 4  # pixels between images
PAPER, INK = 255, (20, 20, 20)


def to_bytes(images: Tensor) -> np.ndarray:
    """(B,3,H,W) in [-1,1] -> (B,H,W,3) uint8."""
    scaled = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def grid(columns: dict[str, Tensor], rows: int = 8) -> np.ndarray:
    """One column per title, one row per sample, at most `rows`: (H,W,3) uint8. columns: title -> (B,3,h,w) in [-1,1].

    Raises ValueError where a column does not hold images or the columns differ in number.
    """
    for title, images in columns.items():
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f'the column {title!r} has the shape {tuple(images.shape)}, not (B, 3, H, W)')
    counts = {len(images) for images in columns.values()}
    if len(counts) != 1:
        raise ValueError(f'the columns hold different numbers of images: {sorted(counts)}')
    shown = {title: to_bytes(images[:rows]) for title, images in columns.items()}
    rows = min(rows, counts.pop())
    height = max(images.shape[1] for images in shown.values())
    font = ImageFont.load_default(12)
    widths = [max(images.shape[2], round(font.getlength(title))) for title, images in shown.items()]
    head = 18
    sheet = Image.new('RGB', (sum(widths) + GAP * (len(widths) + 1), head + rows * (height + GAP)), (PAPER,) * 3)
    draw = ImageDraw.Draw(sheet)
    left = GAP
    for (title, images), width in zip(shown.items(), widths):
        draw.text((left, 2), title, fill=INK, font=font)
        for row in range(rows):
            sheet.paste(Image.fromarray(images[row]), (left, head + row * (height + GAP)))
        left += width + GAP
    return np.asarray(sheet)


def encode_png(image: np.ndarray) -> bytes:
    """(H,W,3) uint8 -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG')
    return buffer.getvalue()
