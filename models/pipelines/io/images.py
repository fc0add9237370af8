"""Images on disk: read upright and in RGB with a clear word on what cannot be read, written whole or not at all."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models.files import replacing
from models.pipelines.io.provenance import Making, sign

LIMIT = 100_000_000  # pixels; decoding more would fill a laptop's memory
FORMATS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG'}


def read_image(path: str | Path, limit: int = LIMIT, *, formats: Sequence[str] | None = None,
                 name: str | None = None) -> np.ndarray:
    """(H,W,3) uint8 RGB, turned as its EXIF tag says. formats: of Pillow, the only ones that are tried; None for all. name: what
    the file is called in messages. ValueError, one sentence, where the file is missing, no image, broken or of more than
    `limit` pixels."""
    path = Path(path)
    name = name or str(path)
    if not path.is_file():
        raise ValueError(f'{name} is no file; give an image (JPEG, PNG, WebP, ...)')
    ceiling, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit speaks, in one sentence
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > limit:
                raise ValueError(f'{name} has {image.width} x {image.height} pixels, more than the {limit / 1e6:g} million '
                                 'that are read; reduce it first')
            return np.array(ImageOps.exif_transpose(image).convert('RGB'))
    except UnidentifiedImageError as error:
        raise ValueError(f'{name} is no image in a known format; give a JPEG, PNG or WebP file') from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f'{name} cannot be read ({error}); it may be damaged, export it again') from error
    finally:
        Image.MAX_IMAGE_PIXELS = ceiling


def check_name(path: str | Path) -> Path:
    """The path, if an image can be written under its name; ValueError names the known endings."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f'{path} does not end in {", ".join(FORMATS)}; choose such a name for the image')
    return path


def write_image(path: str | Path, image: np.ndarray, making: Making | None = None) -> None:
    """(H,W,3) uint8 RGB as PNG or JPEG (quality 95) by the file's ending; with Content Credentials where `making` is given.
    Written beside and renamed, so that no half an image ever bears the name; WriteError where it cannot be written."""
    path = check_name(path)
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, FORMATS[path.suffix.lower()], quality=95)
        if making is not None:
            sign(temporary, making, path.name)
