"""A visible label in the corner of an image."""
import numpy as np
from PIL import Image, ImageDraw, ImageFont


def with_visible_label(image: np.ndarray, text: str = 'face swapped') -> np.ndarray:
    """Copy of (H,W,3) uint8 RGB with `text` in white on a dark box in the lower right corner."""
    canvas = Image.fromarray(image)
    size = max(10, round(min(canvas.size) / 28))
    font, draw = ImageFont.load_default(size=size), ImageDraw.Draw(canvas, 'RGBA')
    corner = canvas.width - size // 2, canvas.height - size // 2
    box = draw.textbbox(corner, text, font=font, anchor='rs')
    margin = size // 3
    draw.rectangle((box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin), fill=(0, 0, 0, 160))
    draw.text(corner, text, fill=(255, 255, 255), font=font, anchor='rs')
    return np.array(canvas)
