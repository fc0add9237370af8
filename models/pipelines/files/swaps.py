"""Face swaps from photo files to photo files."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from configs.reading import listed_file, read_rows
from models.image_io import Photo
from models.perception.detection import Face
from models.pipelines.files.photos import ImageWriter, open_photo, process_files
from models.pipelines.photo import ALL, LARGEST, FaceSwapper, PhotoSwapper, SwapResult, choose
from models.pipelines.report import Report


def read_identity_list(path: Path) -> list[tuple[Path, Path]]:
    """The rows of a CSV with the columns reference and source: photo of an identity in the target, photo of the face that
    replaces it. Paths are relative to the folder of the CSV. Raises ValueError for a malformed list."""
    rows = read_rows(path, ('reference', 'source'))
    if not rows or not all(row['reference'] and row['source'] for row in rows):
        raise ValueError(f'{path} lacks a photo in a row; write a reference and a source in each row')
    return [(listed_file(path, row['reference']), listed_file(path, row['source'])) for row in rows]


@dataclass(frozen=True)
class SwapRequest:
    """The faces to swap, independent of the target. Images are (H,W,3) uint8 RGB.

    Args:
        source: photo of the source face; None with `identities`.
        reference: photo of the identity in the target that is replaced, instead of `target_face`.
        identities: (reference, source) photos, one pair per identity in the target; instead of `source`.
        source_face: 'largest', a number by size from 0, or None for a source with a single face.
        target_face: 'largest', 'all', or a number by size from 0.
        files: the files of all photos.
    """

    source: np.ndarray | None = None
    reference: np.ndarray | None = None
    identities: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    source_face: str | None = None
    target_face: str = LARGEST
    files: tuple[Path, ...] = ()

    @classmethod
    def read(cls, source: Path | None, reference: Path | None, identity_list: Path | None, report: Report, *,
             source_face: str | None = None, target_face: str = LARGEST) -> 'SwapRequest':
        """Read the photos of a request. identity_list: a file for `read_identity_list`. Raises ValueError as that function and
        models.image_io.read_photo."""
        rows = read_identity_list(identity_list) if identity_list else []
        files = tuple(path for path in (source, reference, *(path for row in rows for path in row)) if path)
        source_image, reference_image = (open_photo(path, report).rgb if path else None for path in (source, reference))
        identities = tuple((open_photo(first, report).rgb, open_photo(second, report).rgb) for first, second in rows)
        return cls(source_image, reference_image, identities, source_face, target_face, files)

    @property
    def photos(self) -> list[np.ndarray]:
        """All photos, in the order of `files`."""
        photos = (self.source, self.reference, *(photo for pair in self.identities for photo in pair))
        return [photo for photo in photos if photo is not None]

    def swap(self, swapper: PhotoSwapper, target: np.ndarray) -> SwapResult:
        """Swap the faces of one photo. Raises ValueError as PhotoSwapper.swap does."""
        if self.identities:
            return swapper.swap_identities(target, list(self.identities))
        assert self.source is not None
        return swapper.swap(self.source, target, source_face=self.source_face, target_face=self.target_face,
                            reference=self.reference)

    def roles(self, swapper: FaceSwapper) -> tuple[list[tuple[np.ndarray, Face]], Tensor | None]:
        """Sources and references of a video: the photo and the face of each of R sources, and the embeddings (R,D) of the
        identities that they replace, None if the target face is chosen by size. Raises ValueError for a photo without a
        face."""
        if self.source_face == ALL:
            raise ValueError('only one face can be the source; give largest or a number')

        def face_of(photo: np.ndarray, description: str, choice: str | None = LARGEST) -> Face:
            return choose(swapper.detector.detect(photo), choice, description)[0]

        references = [reference for reference, _ in self.identities] if self.reference is None else [self.reference]
        embeddings = [swapper.embed(photo, [face_of(photo, f'reference {index}')]) for index, photo in enumerate(references)]
        if self.identities:
            sources = [(photo, face_of(photo, f'source of identity {index}'))
                       for index, (_, photo) in enumerate(self.identities)]
        else:
            assert self.source is not None
            sources = [(self.source, face_of(self.source, 'source', self.source_face))]
        return sources, torch.cat(embeddings) if embeddings else None


def debug_path(path: Path) -> Path:
    """The file of the debug image of an output."""
    return path.with_suffix('.debug.png')


def swap_photo(request: SwapRequest, swapper: PhotoSwapper, target: Photo, output: Path, write: ImageWriter, *,
               debug: bool = False, name: Path | None = None) -> None:
    """Swap the faces of a photo and write the result.

    Args:
        debug: write `debug_path(output)`, too: target, result and the mask of changed pixels, side by side.
        name: file that is named in the notes.

    Raises:
        ValueError: as SwapRequest.swap and ImageWriter.
    """
    swapped = request.swap(swapper, target.rgb)
    for note in swapped.notes:
        write.report.message(f'note: {f"{name}: " if name else ""}{note}')
    write(output, target.with_rgb(swapped.image))
    if debug:
        mask = np.repeat((swapped.coverage * 255).round().astype(np.uint8)[..., None], 3, 2)
        write(debug_path(output), Photo(np.hstack([target.rgb, swapped.image, mask])))


def swap_photos(request: SwapRequest, swapper: PhotoSwapper, files: Sequence[tuple[Path, Path]], write: ImageWriter, *,
                overwrite: bool = False) -> None:
    """Swap the faces of many photos. files: (target, output) paths, such as the result of `photo_outputs`; an existing output is
    kept unless `overwrite`. Raises ValueError if every photo fails; the error of a single photo is reported."""
    def swap_one(pair: tuple[Path, Path]) -> None:
        target, output = pair
        swap_photo(request, swapper, open_photo(target, write.report), output, write, name=output)

    pending = [pair for pair in files if overwrite or not pair[1].exists()]
    process_files(pending, swap_one, total=len(files), path_of=lambda pair: pair[0], verb='swapped', report=write.report)
