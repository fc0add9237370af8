"""Images that come from a client, and images that go there."""
import os
import secrets
import threading
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np

from app.work import sentences
from models.image_io import Photo, read_photo
from models.pipelines.io.images import write_image
from models.pipelines.io.provenance import GenerationInfo

MEGABYTES, PIXELS = 32, 50_000_000  # most that is taken of one image
_FORMATS = ('JPEG', 'PNG', 'WEBP')
_written: dict[Path, tuple[tuple[int, int], tuple[str, ...]]] = {}  # what was written anew: its stamp then, its notes before
_one_by_one = threading.Lock()


class _Quiet(type(gr.Image)):
    """Makes a component without what Gradio's own way of making one leaves behind: a stub file beside the module."""

    def __new__(cls, name, bases, attributes):
        return super(type(gr.Image), cls).__new__(cls, name, bases, attributes)


class Upload(gr.Image, metaclass=_Quiet):
    """An image from a file, the camera or the clipboard, as a models.image_io.Photo.

    The file is decoded whatever its name says; what is no image is deleted, and what is one is written anew, so that nothing
    but its pixels, alpha and color profile stays. Addresses are not fetched, and no file is read but those that lie in the page's
    own folder of uploads.
    """

    is_template = True  # to a browser it is its parent

    async def async_move_resource_to_block_cache(self, url_or_file_path):
        """Gradio's way of fetching an address, which is closed here; files have been uploaded to their place already."""
        if url_or_file_path is not None and Path(str(url_or_file_path)).is_file():
            return await super().async_move_resource_to_block_cache(url_or_file_path)
        raise gr.Error('The image is not here any more; upload it again', print_exception=False)

    def preprocess(self, payload) -> Photo | None:
        if payload is None or not payload.path:
            return None
        path, folder = Path(payload.path).resolve(), Path(self.GRADIO_CACHE).resolve()
        with sentences(), _one_by_one:
            if not path.is_relative_to(folder) or not path.is_file():
                raise ValueError('the image is not here any more; upload it again')
            try:
                if path.stat().st_size > MEGABYTES * 2 ** 20:
                    raise ValueError(f'the upload is larger than {MEGABYTES} megabytes; reduce it first')
                photo = read_photo(path, formats=_FORMATS, name='the upload', max_pixels=PIXELS)
            except Exception:
                path.unlink(missing_ok=True)
                raise
            stamp, notes = _written.get(path, (None, ()))
            if stamp == _stamp(path):
                return replace(photo, notes=notes)
            beside = path.with_name(f'{path.name}{".jpg" if photo.alpha is None else ".png"}')
            write_image(beside, photo)
            os.replace(beside, path)
            _written[path] = _stamp(path), photo.notes
        return photo


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def upload(label: str, elem_id: str) -> Upload:
    """An Upload that is looked at as soon as it is there, and emptied where it is no image."""
    image = Upload(label=label, elem_id=elem_id, sources=['upload', 'webcam', 'clipboard'], buttons=[], height=260)
    checked = image.input(lambda image: None, image, None, show_progress='hidden', api_visibility='private')
    checked.failure(lambda: None, None, image, show_progress='hidden', api_visibility='private')
    return image


def download(image: np.ndarray | Photo, name: str, generation_info: GenerationInfo | None, folder: str) -> str:
    """Write (H,W,3) uint8 RGB or a photo with its Content Credentials where the page may show it; its path. folder: GRADIO_CACHE
    of a component."""
    path = Path(folder) / secrets.token_hex(16) / name
    write_image(path, image, generation_info)
    return str(path)
