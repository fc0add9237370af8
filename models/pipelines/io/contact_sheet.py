"""Contact sheets: rows of images under column headings, as arrays."""
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.perception.detection import Face

_GAP_PX, _HEADING_PX = 12, 40  # between images; height of the line of headings
_BACKGROUND_RGB, _TEXT_RGB = (250, 250, 248), (40, 40, 44)


def portrait(image: np.ndarray, face: Face, zoom: float = 2.0) -> np.ndarray:
    """Square view of a face in (H,W,3): its side is `zoom` times the longer side of the face's box, limited to the image, and the
    square is shifted into the image."""
    height, width = image.shape[:2]
    side = max(1, min(height, width, round(zoom * float((face.box[2:] - face.box[:2]).max()))))
    center = (face.box[:2] + face.box[2:]) / 2
    x = int(np.clip(round(float(center[0]) - side / 2), 0, width - side))
    y = int(np.clip(round(float(center[1]) - side / 2), 0, height - side))
    return image[y:y + side, x:x + side]


def _fit(image: np.ndarray, side: int) -> Image.Image:
    """The image scaled to a longer side of `side` pixels."""
    scale = side / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return Image.fromarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


def contact_sheet(rows: list[list[np.ndarray]], headings: list[str], side: int = 256) -> np.ndarray:
    """Arrange images in a table.

    Args:
        rows: images (H,W,3) uint8 RGB of any size, one per heading in each row.
        headings: of the columns.
        side: of a cell in pixels.

    Returns:
        (H,W,3) uint8 RGB.

    Raises:
        ValueError: no rows, or a row with another number of images.
    """
    if not rows or any(len(row) != len(headings) for row in rows):
        raise ValueError(f'a contact sheet needs rows of {len(headings)} images each')
    step = side + _GAP_PX
    sheet = Image.new('RGB', (_GAP_PX + step * len(headings), _HEADING_PX + step * len(rows)), _BACKGROUND_RGB)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=20)
    for column, heading in enumerate(headings):
        draw.text((_GAP_PX + column * step + side / 2, _HEADING_PX / 2), heading, fill=_TEXT_RGB, font=font, anchor='mm')
    for index, row in enumerate(rows):
        for column, image in enumerate(row):
            cell = _fit(image, side)
            left, top = _GAP_PX + column * step, _HEADING_PX + index * step
            sheet.paste(cell, (left + (side - cell.width) // 2, top + (side - cell.height) // 2))
    return np.array(sheet)
