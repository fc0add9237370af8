"""Images of pipelines on disk: read by models.image_io, written whole or not at all."""
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from models.image_io import MAX_PIXELS, Photo, read_photo
from models.pipelines.io.provenance import GenerationInfo, sign
from models.storage.files import check_writable, replacing

FORMATS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG'}


def read_image(path: str | Path, limit: int = MAX_PIXELS, *, formats: Sequence[str] | None = None,
                 name: str | None = None) -> np.ndarray:
    """(H,W,3) uint8 sRGB, upright, transparent pixels over gray: `rgb` of models.image_io.read_photo, whose parameters and errors
    these are."""
    return read_photo(path, formats=formats, name=name, max_pixels=limit).rgb


def check_name(path: str | Path) -> Path:
    """The path, if an image can be written under its name; ValueError names the known endings."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f'{path} does not end in {", ".join(FORMATS)}; choose such a name for the image')
    return path


def check_not_input(outputs: Iterable[str | Path], inputs: Iterable[str | Path], *, overwrite: bool = False) -> None:
    """ValueError where one of the outputs is one of the inputs, by whatever name, and not `overwrite`."""
    files = {} if overwrite else {_file(path): path for path in inputs}
    for path in outputs:
        file = _file(path)
        if file and file in files:
            raise ValueError(f'{path} would replace the input {files[file]}; give another name as -o, or --overwrite')


def _file(path: str | Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None where there is no file."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def check_output(path: str | Path, inputs: Iterable[str | Path] = (), *, overwrite: bool = False) -> Path:
    """The path, if an image can be written to it; to be asked before the work. Errors as check_name, check_not_input and
    models.storage.files.check_writable. Leaves nothing behind."""
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
    """Write (H,W,3) uint8 sRGB or a Photo as PNG or JPEG (quality 95) by the file's ending; with Content Credentials where
    `generation_info` is given. A Photo keeps its profile, and in a PNG its alpha. ValueError, as WriteError or ProvenanceError,
    where that fails; the file is then as it was."""
    path = check_name(path)
    photo = Photo(image) if isinstance(image, np.ndarray) else image
    kind = FORMATS[path.suffix.lower()]
    with replacing(path) as temporary:
        photo.image(alpha=kind == 'PNG').save(temporary, kind, quality=95, icc_profile=photo.icc_profile)
        if generation_info is not None:
            sign(temporary, generation_info, path.name)
