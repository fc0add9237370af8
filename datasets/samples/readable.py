"""Reading of face lists with unreadable images, which are logged once and replaced."""
from pathlib import Path

import numpy as np
import torch

from datasets.faces import BrokenImage, Faces, log

MAX_ATTEMPTS = 50  # unreadable images in a row that raise an error
FaceImage = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]  # the result of Faces.read: image, label map, landmarks


class Readable:
    """Reader of a list of faces that logs each unreadable image once and counts these across all workers."""

    def __init__(self, faces: Faces):
        self.faces = faces
        self._broken = torch.zeros(len(faces), dtype=torch.bool).share_memory_()

    @property
    def broken(self) -> int:
        """The number of images that could not be read."""
        return int(self._broken.sum())

    @property
    def broken_paths(self) -> list[Path]:
        """The paths of these images."""
        return [self.faces.path(i) for i in torch.nonzero(self._broken).flatten().tolist()]

    def read(self, index: int) -> FaceImage | None:
        """The result of Faces.read, or None if the image is unreadable."""
        if self._broken.numpy()[index]:
            return None
        try:
            return self.faces.read(index)
        except BrokenImage as error:
            if not self._broken[index]:
                self._broken[index] = True
                log.warning('left out: %s', error)
            return None

    def read_next(self, index: int) -> tuple[int, FaceImage]:
        """Index and content of the first readable image from `index` on, modulo the length of the list. Raises RuntimeError if
        MAX_ATTEMPTS images in a row are unreadable."""
        for step in range(min(MAX_ATTEMPTS, len(self.faces))):
            candidate = (index + step) % len(self.faces)
            if (content := self.read(candidate)) is not None:
                return candidate, content
        raise RuntimeError(f'no readable image among {MAX_ATTEMPTS} in a row from {self.faces.path(index % len(self.faces))} on; '
                           'check the disk or unpack the data again')
