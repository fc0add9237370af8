"""Pictures side by side, with titles."""
import io

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP = 4  # pixels between pictures
PAPER, INK = 255, (20, 20, 20)


def to_bytes(pictures: Tensor) -> np.ndarray:
    """(B,3,H,W) in [-1,1] -> (B,H,W,3) uint8."""
    scaled = (pictures.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def grid(columns: dict[str, Tensor], rows: int = 8) -> np.ndarray:
    """One column per title, one row per sample, at most `rows`: (H,W,3) uint8. columns: title -> (B,3,h,w) in [-1,1].

    Raises ValueError where a column does not hold pictures or the columns differ in number.
    """
    for title, pictures in columns.items():
        if pictures.dim() != 4 or pictures.shape[1] != 3:
            raise ValueError(f'the column {title!r} has the shape {tuple(pictures.shape)}, not (B, 3, H, W)')
    counts = {len(pictures) for pictures in columns.values()}
    if len(counts) != 1:
        raise ValueError(f'the columns hold different numbers of pictures: {sorted(counts)}')
    shown = {title: to_bytes(pictures[:rows]) for title, pictures in columns.items()}
    rows = min(rows, counts.pop())
    height = max(pictures.shape[1] for pictures in shown.values())
    font = ImageFont.load_default(12)
    widths = [max(pictures.shape[2], round(font.getlength(title))) for title, pictures in shown.items()]
    head = 18
    sheet = Image.new('RGB', (sum(widths) + GAP * (len(widths) + 1), head + rows * (height + GAP)), (PAPER,) * 3)
    draw = ImageDraw.Draw(sheet)
    left = GAP
    for (title, pictures), width in zip(shown.items(), widths):
        draw.text((left, 2), title, fill=INK, font=font)
        for row in range(rows):
            sheet.paste(Image.fromarray(pictures[row]), (left, head + row * (height + GAP)))
        left += width + GAP
    return np.asarray(sheet)


def encode_png(picture: np.ndarray) -> bytes:
    """(H,W,3) uint8 -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'PNG')
    return buffer.getvalue()
