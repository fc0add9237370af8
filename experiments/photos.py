"""Many photos through one function: which ones, where their results go, progress, and what could not be done."""
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from configs.reading import listed_file, read_rows
from datasets.faces import SUFFIXES, images_in
from experiments.progress import ProgressBar
from models.image_io import Photo, read_photo
from models.pipelines.io.images import FORMATS, check_not_input, check_output

PHOTO_SUFFIXES = SUFFIXES | {'.avif', '.gif', '.heic', '.heif', '.jp2', '.tif', '.tiff'}  # Pillow may lack some, and says so
T = TypeVar('T')


def read_noted(path: Path) -> Photo:
    """A photo, whose notes are printed. ImageError as models.image_io.read_photo."""
    photo = read_photo(path)
    for note in photo.notes:
        print(f'note: {note}', file=sys.stderr)
    return photo


def read_people(path: Path) -> list[tuple[Path, Path]]:
    """Photos named by a CSV with the columns reference and source, relative to its folder. ValueError where it is malformed."""
    rows = read_rows(path, ('reference', 'source'))
    if not rows or not all(row['reference'] and row['source'] for row in rows):
        raise ValueError(f'{path} names no photo in a line; write a reference and a source in each')
    return [(listed_file(path, row['reference']), listed_file(path, row['source'])) for row in rows]


def photos_in(target: Path, output: Path, inputs: list[Path], *, exclude: Collection[Path] = (),
              overwrite: bool = False) -> list[tuple[Path, Path]]:
    """The photos directly in the folder `target` and where each result goes in the folder `output`: under its own name where that
    is one of FORMATS, else as PNG. exclude: files that are no photos, such as animated images. ValueError where `output` is no
    folder or a result would replace one of `inputs` or of the photos, and not `overwrite`; WriteError where it cannot be written
    to. Results may be there already."""
    if output.suffix.lower() in FORMATS:
        raise ValueError(f'{target} is a folder, so {output} has to be a folder, too')
    names = [name for name in images_in(target, suffixes=PHOTO_SUFFIXES)
             if (target / name).is_file() and target / name not in exclude]
    stems = Counter(Path(name).stem for name in names)
    photos = []
    for name in names:
        path = Path(name)
        stem = path.stem if stems[path.stem] == 1 else name
        photos.append((target / name, output / (name if path.suffix.lower() in FORMATS else f'{stem}.png')))
    if photos:
        sources, results = zip(*photos)
        check_not_input(results, [*inputs, *sources], overwrite=overwrite)
        check_output(results[0])
    return photos


def process_all(todo: list[T], count: int, one: Callable[[T], None], *, name: Callable[[T], Path], done: str) -> str:
    """Call one(item) for each of `todo`; what it raises ValueError for is said and passed over. Returns a sentence of how many of
    `count` were `done`, a participle. ValueError where none could."""
    progress_bar, failed, began = ProgressBar(0, len(todo), visible=True), 0, time.monotonic()
    try:
        for number, item in enumerate(todo, 1):
            try:
                one(item)
            except ValueError as error:
                failed += 1
                text = str(error)
                progress_bar.print(text if str(name(item)) in text else f'{name(item)}: {text}')
            progress_bar.step(number)
            progress_bar.show(number, {}, number / (time.monotonic() - began))
    finally:
        progress_bar.close()
    if todo and failed == len(todo):
        raise ValueError(f'none of {len(todo)} images could be {done}; why stands above')
    there = f', {count - len(todo)} were there already' if count > len(todo) else ''
    return f'{len(todo) - failed} images {done}' + (f', {failed} not' if failed else '') + there
