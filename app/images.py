"""Images from and to the client."""
import os
import secrets
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData

from app.tasks import user_messages
from models.image_io import Photo, read_photo
from models.pipelines.io.images import write_image
from models.pipelines.io.provenance import GenerationInfo

MAX_UPLOAD_MB, MAX_IMAGE_PX = 32, 50_000_000
_FORMATS = ('JPEG', 'PNG', 'WEBP')
# Uploads rewritten without metadata: path -> (stamp of the rewritten file, notes on the original).
_sanitized: dict[Path, tuple[tuple[int, int], tuple[str, ...]]] = {}
_sanitize_lock = threading.Lock()


class _NoStubFile(type(gr.Image)):  # type: ignore[misc]
    """Metaclass that skips the step of Gradio's own metaclass that writes a stub file next to the module."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return super(type(gr.Image), cls).__new__(cls, name, bases, attributes)  # type: ignore[misc]


class Upload(gr.Image, metaclass=_NoStubFile):
    """An image from a file, the camera or the clipboard, as a models.image_io.Photo.

    The format is determined by the content, not by the name. Files that are no image are deleted; images are written again, so
    that only their pixels, alpha and color profile are kept. URLs are not fetched, and only files in the upload folder of the
    page are read.
    """

    is_template = True  # in the browser it is a gr.Image

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Override of Gradio's method that fetches URLs: only uploaded files are accepted."""
        if url_or_file_path is not None and Path(str(url_or_file_path)).is_file():
            return await super().async_move_resource_to_block_cache(url_or_file_path)
        raise gr.Error('The image is no longer available; upload it again', print_exception=False)

    def preprocess(self, payload: ImageData | None) -> Photo | None:  # type: ignore[override]
        """The uploaded photo. Raises gr.Error for files that are no image, too large, or outside the upload folder."""
        if payload is None or not payload.path:
            return None
        path, folder = Path(payload.path).resolve(), Path(self.GRADIO_CACHE).resolve()
        with user_messages(), _sanitize_lock:
            if not path.is_relative_to(folder) or not path.is_file():
                raise ValueError('the image is no longer available; upload it again')
            try:
                if path.stat().st_size > MAX_UPLOAD_MB * 2 ** 20:
                    raise ValueError(f'the upload is larger than {MAX_UPLOAD_MB} megabytes; reduce it first')
                photo = read_photo(path, formats=_FORMATS, name='the upload', max_pixels=MAX_IMAGE_PX)
            except Exception:
                path.unlink(missing_ok=True)
                raise
            stamp, notes = _sanitized.get(path, (None, ()))
            if stamp == _stamp(path):
                return replace(photo, notes=notes)
            temporary = path.with_name(f'{path.name}{".jpg" if photo.alpha is None else ".png"}')
            write_image(temporary, photo)
            os.replace(temporary, path)
            _sanitized[path] = _stamp(path), photo.notes
        return photo


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def upload(label: str, elem_id: str) -> Upload:
    """An Upload that is checked as soon as a file arrives, and emptied if the file is no image."""
    image = Upload(label=label, elem_id=elem_id, sources=['upload', 'webcam', 'clipboard'], buttons=[], height=260)
    checked = image.input(lambda image: None, image, None, show_progress='hidden', api_visibility='private')
    checked.failure(lambda: None, None, image, show_progress='hidden', api_visibility='private')
    return image


def download(image: np.ndarray | Photo, name: str, generation_info: GenerationInfo | None, folder: str) -> str:
    """Write an image, (H,W,3) uint8 RGB or a photo, with its Content Credentials to a new folder below `folder`, the GRADIO_CACHE
    of a component, from which the page may serve it. Returns its path."""
    path = Path(folder) / secrets.token_hex(16) / name
    write_image(path, image, generation_info)
    return str(path)
