"""Contact sheets: rows of images under headings, as PNG-ready arrays."""
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.perception.detection import Face

_GAP, _HEAD = 12, 40  # pixels between images, and of the line of headings
_PAPER, _INK = (250, 250, 248), (40, 40, 44)


def portrait(image: np.ndarray, face: Face, zoom: float = 2.0) -> np.ndarray:
    """The square of `zoom` times the face's height around it, moved and reduced where it would leave the image."""
    height, width = image.shape[:2]
    side = max(1, min(height, width, round(zoom * float((face.box[2:] - face.box[:2]).max()))))
    center = (face.box[:2] + face.box[2:]) / 2
    x = int(np.clip(round(float(center[0]) - side / 2), 0, width - side))
    y = int(np.clip(round(float(center[1]) - side / 2), 0, height - side))
    return image[y:y + side, x:x + side]


def _fit(image: np.ndarray, side: int) -> Image.Image:
    """The whole image, scaled into a square cell of paper."""
    scale = side / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return Image.fromarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


def contact_sheet(rows: list[list[np.ndarray]], headings: list[str], side: int = 256) -> np.ndarray:
    """Images (H,W,3) uint8 RGB of any size, one list per row, each in a cell of `side` pixels under its column's heading ->
    (H,W,3) uint8. ValueError where there are no rows or a row has not one image per heading."""
    if not rows or any(len(row) != len(headings) for row in rows):
        raise ValueError(f'a contact sheet wants rows of {len(headings)} images each')
    step = side + _GAP
    sheet = Image.new('RGB', (_GAP + step * len(headings), _HEAD + step * len(rows)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=20)
    for column, heading in enumerate(headings):
        draw.text((_GAP + column * step + side / 2, _HEAD / 2), heading, fill=_INK, font=font, anchor='mm')
    for index, row in enumerate(rows):
        for column, image in enumerate(row):
            cell = _fit(image, side)
            corner = _GAP + column * step + (side - cell.width) // 2, _HEAD + index * step + (side - cell.height) // 2
            sheet.paste(cell, corner)
    return np.array(sheet)
