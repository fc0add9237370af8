"""Photos on disk as the input and output of a pipeline: reading, output names of a folder, batches, writing."""
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models.image_io import PHOTO_SUFFIXES, Photo, list_images, read_photo
from models.pipelines.io.images import FORMATS, check_not_input, check_output, write_image
from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.io.visible_label import with_visible_label
from models.pipelines.report import Report

T = TypeVar('T')


def open_photo(path: Path, report: Report) -> Photo:
    """Read a photo and report its notes. Raises ImageError as models.image_io.read_photo does."""
    photo = read_photo(path)
    for note in photo.notes:
        report.message(f'note: {note}')
    return photo


def photo_outputs(folder: Path, output: Path, inputs: Sequence[Path], *, exclude: Collection[Path] = (),
                  overwrite: bool = False) -> list[tuple[Path, Path]]:
    """The photos directly in `folder`, each with its output path in the folder `output`.

    A photo in one of FORMATS keeps its name; another one becomes STEM.png, or NAME.png if several photos share the stem.
    Outputs may exist.

    Args:
        inputs: further files that no output may replace.
        exclude: files of the folder that are processed otherwise, such as animated images.
        overwrite: allow outputs that replace inputs.

    Raises:
        ValueError: `output` names an image, or an output would replace an input.
        WriteError: `output` is not writable.
    """
    if output.suffix.lower() in FORMATS:
        raise ValueError(f'{folder} is a folder, so {output} has to be a folder, too')
    names = [name for name in list_images(folder, suffixes=PHOTO_SUFFIXES)
             if (folder / name).is_file() and folder / name not in exclude]
    stems = Counter(Path(name).stem for name in names)
    photos = []
    for name in names:
        path = Path(name)
        stem = path.stem if stems[path.stem] == 1 else name
        photos.append((folder / name, output / (name if path.suffix.lower() in FORMATS else f'{stem}.png')))
    if photos:
        sources, outputs = zip(*photos)
        check_not_input(outputs, [*inputs, *sources], overwrite=overwrite)
        check_output(outputs[0])
    return photos


def process_files(items: Sequence[T], process: Callable[[T], None], *, total: int, path_of: Callable[[T], Path], verb: str,
                  report: Report) -> None:
    """Call process(item) for each item with progress. A ValueError of one item is reported and the next item follows; a summary
    is reported at the end.

    Args:
        total: number of items including those that are left out because their output exists.
        path_of: the file of an item, for error messages.
        verb: past participle for the summary, such as 'swapped'.

    Raises:
        ValueError: every item failed.
    """
    failed = 0
    with report.progress() as progress:
        progress(0, len(items))
        for number, item in enumerate(items, 1):
            try:
                process(item)
            except ValueError as error:
                failed += 1
                text, path = str(error), str(path_of(item))
                report.message(text if path in text else f'{path}: {text}')
            progress(number, len(items))
    if items and failed == len(items):
        raise ValueError(f'none of {len(items)} images could be {verb}; the reasons are printed above')
    existing = f', {total - len(items)} existed already' if total > len(items) else ''
    report.message(f'{len(items) - failed} images {verb}' + (f', {failed} not' if failed else '') + existing)


@dataclass(frozen=True)
class ImageWriter:
    """Writes images and reports their paths.

    Args:
        info: written as Content Credentials; None for no credentials.
        label: write a visible label in the lower right corner.
    """

    report: Report
    info: GenerationInfo | None = None
    label: bool = False

    def __call__(self, path: Path, photo: Photo) -> None:
        """Write a photo as PNG or JPEG by the suffix of `path`. Raises the errors of
        models.pipelines.io.images.write_image."""
        labeled = photo.with_rgb(with_visible_label(photo.rgb), opaque=True) if self.label else photo
        write_image(path, labeled, self.info)
        self.report.written(path)
