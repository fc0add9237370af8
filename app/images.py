"""Images that come from a client, and images that go there."""
import os
import secrets
import threading
from pathlib import Path

import gradio as gr
import numpy as np

from app.work import sentences
from models.pipelines.io.images import read_image, write_image
from models.pipelines.io.provenance import Making

MEGABYTES, PIXELS = 20, 40_000_000  # most that is taken of one image
_FORMATS = ('JPEG', 'PNG', 'WEBP')
_written: dict[Path, tuple[int, int]] = {}  # what was written anew, and its stamp then
_one_by_one = threading.Lock()


class _Quiet(type(gr.Image)):
    """Makes a component without what Gradio's own way of making one leaves behind: a stub file beside the module."""

    def __new__(cls, name, bases, attributes):
        return super(type(gr.Image), cls).__new__(cls, name, bases, attributes)


class Upload(gr.Image, metaclass=_Quiet):
    """An image from a file, the camera or the clipboard, as (H,W,3) uint8 RGB.

    The file is decoded whatever its name says; what is no image is deleted, and what is one is written anew, so that nothing
    but its pixels stays. Addresses are not fetched, and no file is read but those that lie in the page's own folder of uploads.
    """

    is_template = True  # to a browser it is its parent

    async def async_move_resource_to_block_cache(self, url_or_file_path):
        """Gradio's way of fetching an address, which is closed here; files have been uploaded to their place already."""
        if url_or_file_path is not None and Path(str(url_or_file_path)).is_file():
            return await super().async_move_resource_to_block_cache(url_or_file_path)
        raise gr.Error('The image is not here any more; upload it again', print_exception=False)

    def preprocess(self, payload) -> np.ndarray | None:
        if payload is None or not payload.path:
            return None
        path, folder = Path(payload.path).resolve(), Path(self.GRADIO_CACHE).resolve()
        with sentences(), _one_by_one:
            if not path.is_relative_to(folder) or not path.is_file():
                raise ValueError('the image is not here any more; upload it again')
            try:
                if path.stat().st_size > MEGABYTES * 2 ** 20:
                    raise ValueError(f'the upload is larger than {MEGABYTES} megabytes; reduce it first')
                image = read_image(path, PIXELS, formats=_FORMATS, name='the upload')
            except Exception:
                path.unlink(missing_ok=True)
                raise
            if _written.get(path) != _stamp(path):
                beside = path.with_name(f'{path.name}.jpg')
                write_image(beside, image)
                os.replace(beside, path)
                _written[path] = _stamp(path)
        return image


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def upload(label: str, elem_id: str) -> Upload:
    """An Upload that is looked at as soon as it is there, and emptied where it is no image."""
    image = Upload(label=label, elem_id=elem_id, sources=['upload', 'webcam', 'clipboard'], buttons=[], height=260)
    checked = image.input(lambda image: None, image, None, show_progress='hidden', api_visibility='private')
    checked.failure(lambda: None, None, image, show_progress='hidden', api_visibility='private')
    return image


def download(image: np.ndarray, name: str, making: Making | None, folder: str) -> str:
    """Write (H,W,3) uint8 RGB with its Content Credentials where the page may show it; its path. folder: GRADIO_CACHE of a
    component."""
    path = Path(folder) / secrets.token_hex(16) / name
    write_image(path, image, making)
    return str(path)
