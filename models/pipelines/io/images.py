"""Image files of the pipelines: reading by models.image_io, checks of output paths, and atomic writing."""
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from models.image_io import MAX_PIXELS, Photo, read_photo
from models.pipelines.io.provenance import GenerationInfo, sign
from models.storage.files import check_writable, replacing

FORMATS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG'}  # suffix of an output -> format of Pillow
_JPEG_QUALITY = 95


def read_image(path: str | Path, limit: int = MAX_PIXELS, *, formats: Sequence[str] | None = None,
               name: str | None = None) -> np.ndarray:
    """(H,W,3) uint8 sRGB, upright, with transparent pixels over gray.

    Arguments and errors are those of models.image_io.read_photo; limit is its `max_pixels`.
    """
    return read_photo(path, formats=formats, name=name, max_pixels=limit).rgb


def check_name(path: str | Path) -> Path:
    """The path. Raises ValueError if its suffix is not in FORMATS."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f'{path} does not end in {", ".join(FORMATS)}; choose such a name for the image')
    return path


def check_not_input(outputs: Iterable[str | Path], inputs: Iterable[str | Path], *, overwrite: bool = False) -> None:
    """Raises ValueError if an output is the same file as an input, under any name, unless `overwrite`."""
    files = {} if overwrite else {_file_id(path): path for path in inputs}
    for path in outputs:
        file = _file_id(path)
        if file and file in files:
            raise ValueError(f'{path} would replace the input {files[file]}; give another name as -o, or --overwrite')


def _file_id(path: str | Path) -> tuple[int, int] | None:
    """Device and inode of a file; None if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def check_output(path: str | Path, inputs: Iterable[str | Path] = (), *, overwrite: bool = False) -> Path:
    """Check in advance that an image can be written to a path, and return it. No folder is left behind.

    Raises the errors of check_name, check_not_input and models.storage.files.check_writable.
    """
    path = check_name(path)
    check_not_input([path], inputs, overwrite=overwrite)
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        check_writable(path)
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
    return path


def write_image(path: str | Path, image: np.ndarray | Photo, generation_info: GenerationInfo | None = None) -> None:
    """Write an image atomically as PNG or JPEG, by the suffix.

    Args:
        path: of the file.
        image: (H,W,3) uint8 sRGB, or a Photo, which keeps its color profile and in a PNG its alpha channel.
        generation_info: written as Content Credentials, if not None.

    Raises:
        ValueError: WriteError or ProvenanceError; an existing file is unchanged.
    """
    path = check_name(path)
    photo = Photo(image) if isinstance(image, np.ndarray) else image
    format = FORMATS[path.suffix.lower()]
    with replacing(path) as temporary:
        photo.image(alpha=format == 'PNG').save(temporary, format, quality=_JPEG_QUALITY, icc_profile=photo.icc_profile)
        if generation_info is not None:
            sign(temporary, generation_info, path.name)
