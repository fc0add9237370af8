"""Face translations from image files to image files."""
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.image_io import PHOTO_SUFFIXES, Photo, list_images
from models.pipelines.files.photos import open_photo, process_files
from models.pipelines.framing import AlignedImage
from models.pipelines.io.images import FORMATS, check_not_input, check_output, write_image
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, GenerationInfo
from models.pipelines.photo import LARGEST
from models.pipelines.report import Report
from models.pipelines.translate import FaceTranslator, translation_sheet
from models.pipelines.video.targets import videos_in


@dataclass(frozen=True)
class TranslationFile:
    """An image and the path after which its outputs are named. aligned: the image is an aligned face of a data set."""

    source: Path
    output: Path
    aligned: bool

    @property
    def sheet(self) -> Path:
        """The contact sheet, which is written last: if it exists, the other outputs exist."""
        return self.output.with_name(f'{self.output.stem}.sheet.png')


@dataclass(frozen=True)
class TranslationSettings:
    """Arguments of FaceTranslator.image that are common to all images; paste: write whole images with the translated faces."""

    face: str = LARGEST
    styles: int = 1
    style: int = 0
    reference: AlignedImage | None = None
    paste: bool = False


def photos_in(folder: Path) -> list[str]:
    """The names of the images of a folder, without those that are converted as videos."""
    videos = videos_in(folder)
    return [name for name in list_images(folder, suffixes=PHOTO_SUFFIXES) if folder / name not in videos]


def translation_files(source: Path, output: Path, direction: str, *, aligned: bool = False, inputs: Sequence[Path] = (),
                      overwrite: bool = False) -> list[TranslationFile]:
    """The images to translate and their outputs.

    Args:
        source: an image, a folder of images, or a folder of two domains, of which the test set of `direction` is taken.
        output: a folder, or for a single image the output file.
        direction: 'a2b' or 'b2a'.
        inputs: further files that no output may replace.
        overwrite: allow outputs that replace inputs.

    Raises:
        ValueError: no image, or an output would replace an input.
        WriteError: an output is not writable.
    """
    files = list(_files(source, output, direction, aligned))
    check_not_input([path for file in files for path in (file.output, file.sheet)],
                    [*(file.source for file in files), *inputs], overwrite=overwrite)
    check_output(files[0].sheet)
    return files


def _files(source: Path, output: Path, direction: str, aligned: bool) -> Iterator[TranslationFile]:
    is_image = output.suffix.lower() in FORMATS
    if not source.is_dir():
        yield TranslationFile(source, output if is_image else output / f'{source.stem}.png', aligned)
        return
    if is_image:
        raise ValueError(f'{source} is a folder of images, so {output} has to be a folder, too')
    test_set = source / f'test{direction[0].upper()}'
    two_domains = test_set.is_dir()
    folder = test_set if two_domains else source
    names = list_images(folder, deep=True) if two_domains else photos_in(folder)
    if not names:
        raise ValueError(f'{folder} contains no image; give an image, a folder of images, or one with testA and testB')
    stems = {name: str(Path(name).with_suffix('')) for name in names}
    uses = Counter(stems.values())
    for name, stem in stems.items():
        yield TranslationFile(folder / name, output / f'{stem if uses[stem] == 1 else name}.png', aligned or two_domains)


def translate_file(file: TranslationFile, translator: FaceTranslator, settings: TranslationSettings,
                   infos: Mapping[str, GenerationInfo | None], report: Report) -> None:
    """Translate one image and write its outputs: translated faces or images, and the contact sheet.

    Args:
        infos: Content Credentials of images that are generated as a whole (GENERATED_MEDIA) and in part (COMPOSITE_MEDIA).

    Raises:
        ValueError: the image cannot be read or shows no face, or an output cannot be written.
    """
    photo = open_photo(file.source, report)
    result = translator.translate_image(photo.rgb, face=settings.face, aligned=file.aligned, styles=settings.styles,
                                        style=settings.style, reference=settings.reference, paste=settings.paste)
    outputs: Sequence[Sequence[np.ndarray | Photo]] = [face.translations for face in result.faces]
    if settings.paste:
        outputs = [[photo.with_rgb(image) for image in result.pasted]]
    for number, images in enumerate(outputs):
        for style, image in enumerate(images):
            parts = [f'face{number}'] * (len(outputs) > 1) + [f'style{style + 1}'] * (len(images) > 1)
            name = '.'.join([file.output.stem, *parts]) + file.output.suffix
            write_image(file.output.with_name(name), image, infos[COMPOSITE_MEDIA if settings.paste else GENERATED_MEDIA])
    write_image(file.sheet, translation_sheet(result), infos[COMPOSITE_MEDIA])


def translate_files(files: Sequence[TranslationFile], translator: FaceTranslator, settings: TranslationSettings,
                    infos: Mapping[str, GenerationInfo | None], report: Report, *, overwrite: bool = False) -> None:
    """Translate images whose outputs do not exist, or all with `overwrite`. Raises ValueError if the only image or all images
    fail; the error of a single image of several is reported."""
    def translate(file: TranslationFile) -> None:
        translate_file(file, translator, settings, infos, report)

    pending = [file for file in files if overwrite or not file.sheet.is_file()]
    if len(files) == 1 and pending:
        translate(pending[0])
    else:
        process_files(pending, translate, total=len(files), path_of=lambda file: file.source, verb='translated', report=report)
