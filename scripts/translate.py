"""Translate faces: photos to drawings (a2b) and back (b2a).

    python scripts/translate.py --run RUN --input photo.jpg
    python scripts/translate.py --weights family.safetensors --direction b2a --input FOLDER -o OUT
    python scripts/translate.py --run RUN --input photo.jpg --styles 4 --paste
    python scripts/translate.py --run RUN --input photo.jpg --reference drawing.png
    python scripts/translate.py --run RUN --input FACES --aligned
    python scripts/translate.py --run RUN --input TWO_DOMAINS
    python scripts/translate.py --run RUN --input clip.mp4 -o drawn.mp4
    python scripts/translate.py --run RUN --input camera

--input is an image, a folder of images, or the folder of two domains, whose test set (testA, testB) is then translated; or a
video, a folder of videos, or a camera, all as scripts/swap.py has them, where translations are put into the images. Each image
gets NAME.png, the translated face, or with --paste the whole image with the face in it, and NAME.sheet.png, all beside
each other. What is there already stays; --overwrite makes it anew. What is written says by signed Content Credentials that it was
made and how; scripts/provenance.py shows and checks them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.console import STOPPED, quiet_interrupts, run_script

quiet_interrupts()

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from configs.resolve import load
from configs.schema import PerceptionConfig
from datasets.faces import images_in
from datasets.preparation.feature_clusters import read_centers
from experiments.filming import camera_name, check_video_output, moving, network_digests, video, videos_in
from experiments.photos import PHOTO_SUFFIXES, process_all, read_noted
from experiments.provenance import add_provenance_options, signs
from experiments.training.errors import RunError, explain_out_of_memory
from models import weights
from models.perception.build import build_perception
from models.perception.detection import DETECTORS, build_detector
from models.pipelines.framing import AlignedImage
from models.pipelines.io.images import FORMATS, check_not_input, check_output, write_image
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, GenerationInfo
from models.pipelines.photo import LARGEST, FaceSwapper
from models.pipelines.translate import FaceTranslator, default_weights, load_translator, translation_sheet
from models.pipelines.video.engine import VideoEngine
from models.pipelines.video.tracking import Tracker
from models.storage.files import WriteError

OUTPUT = Path('outputs/translate')


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_argument_group('what to translate')
    task.add_argument('--input', type=Path, required=True, metavar='IMAGE|FOLDER|VIDEO|camera', help='see above')
    task.add_argument('--direction', choices=('a2b', 'b2a'), help='photo to drawing or back (the first that the family knows)')
    task.add_argument('--face', default=LARGEST, help='of each image: largest (default), all, or the number by size')
    task.add_argument('--aligned', action='store_true', help='images are faces as the data sets have them: detect nothing')
    task.add_argument('-o', '--output', type=Path, help='folder to write to, or for a single image or video the name of its '
                      f'translation ({OUTPUT}; of a camera a window)')
    task.add_argument('--overwrite', action='store_true', help='also translate what is there already')
    which = parser.add_argument_group('by what')
    which.add_argument('--run', type=Path, help='run folder of train.py')
    which.add_argument('--weights', metavar='NAME|FILE', help='instead: a name of the table of weights, or a family.safetensors')
    how = parser.add_argument_group('how')
    how.add_argument('--styles', type=int, default=1, help='translations of each face, where the family knows styles')
    how.add_argument('--style', type=int, default=0, help='number of the first style: the same number, the same style')
    how.add_argument('--reference', type=Path, metavar='IMAGE', help='instead: take the style from this image')
    how.add_argument('--features', type=Path, metavar='FILE', help='with pix2pixHD: styles are features of encode_features.py')
    how.add_argument('--paste', action='store_true', help='put the translated face into the image')
    how.add_argument('--detector', default='mtcnn', choices=DETECTORS)
    add_provenance_options(how)
    how.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = parser.parse_args(argv)
    if args.run and args.weights:
        parser.error('give --run or --weights, not both')
    if moving(args.input, args.output) and (args.aligned or args.styles != 1):
        parser.error('videos and cameras have one style and faces that are to be found: leave --aligned and --styles away')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: PyTorch sees no GPU here; use --device cpu')
    return args


@dataclass(frozen=True)
class Work:
    """An image and where its translation goes: outputs are named after `out`, an image's path."""

    source: Path
    out: Path
    aligned: bool


def chosen(args: argparse.Namespace) -> tuple[Path, PerceptionConfig]:
    """The file of weights, and the frozen networks that it was trained with as far as that is known."""
    if args.run:
        return args.run / 'family.safetensors', load(args.run / 'config.yaml').perception
    if args.weights is None:
        return default_weights(), PerceptionConfig()
    return weights.path(args.weights) if args.weights in weights.TABLE else Path(args.weights), PerceptionConfig()


def listed(args: argparse.Namespace, direction: str) -> list[Work]:
    """The images of --input. ValueError where there is none, or one would be replaced without --overwrite; WriteError where
    nothing can be written."""
    works = list(_listed(args, direction))
    outputs = [path for work in works for path in (work.out, sheet_of(work))]
    check_not_input(outputs, [work.source for work in works] + ([args.reference] if args.reference else []),
                    overwrite=args.overwrite)
    check_output(sheet_of(works[0]))
    return works


def _still(folder: Path) -> list[str]:
    """The images of a folder but those that are translated as videos."""
    videos = videos_in(folder)
    return [name for name in images_in(folder, suffixes=PHOTO_SUFFIXES) if folder / name not in videos]


def _listed(args: argparse.Namespace, direction: str) -> Iterator[Work]:
    source, out = args.input, args.output or OUTPUT
    named = out.suffix.lower() in FORMATS
    if not source.is_dir():
        yield Work(source, out if named else out / f'{source.stem}.png', args.aligned)
        return
    if named:
        raise ValueError(f'{source} is a folder of images, so {out} has to be a folder, too')
    tests = source / f'test{direction[0].upper()}'
    deep = tests.is_dir()
    folder = tests if deep else source
    names = images_in(folder, deep=deep) if deep else _still(folder)
    if not names:
        raise ValueError(f'{folder} holds no image; give an image, a folder of images, or one with testA and testB')
    stems = {name: str(Path(name).with_suffix('')) for name in names}
    shared = Counter(stems.values())
    for name, stem in stems.items():
        yield Work(folder / name, out / f'{stem if shared[stem] == 1 else name}.png', args.aligned or deep)


def translated(work: Work, args: argparse.Namespace, translator: FaceTranslator, reference: AlignedImage | None,
               generation_infos: dict[str, GenerationInfo | None]) -> None:
    """Write the images of one input; ValueError where it shows no face or cannot be read."""
    photo = read_noted(work.source)
    made = translator.translate_image(photo.rgb, face=args.face, aligned=work.aligned, styles=args.styles, style=args.style,
                              reference=reference, paste=args.paste)
    wanted = [[photo.with_rgb(one) for one in made.pasted]] if args.paste else [face.translations for face in made.faces]
    for number, images in enumerate(wanted):
        for style, image in enumerate(images):
            parts = [f'face{number}'] * (len(wanted) > 1) + [f'style{style + 1}'] * (len(images) > 1)
            name = '.'.join([work.out.stem, *parts]) + work.out.suffix
            write_image(work.out.with_name(name), image, generation_infos[COMPOSITE_MEDIA if args.paste else GENERATED_MEDIA])
    write_image(sheet_of(work), translation_sheet(made), generation_infos[COMPOSITE_MEDIA])  # last: marks the others as complete


def sheet_of(work: Work) -> Path:
    return work.out.with_name(f'{work.out.stem}.sheet.png')


def filmed(args: argparse.Namespace, translator: FaceTranslator, tracker: Tracker, reference: AlignedImage | None,
           networks: list[str], output: Path | None, generation_info: GenerationInfo | None) -> bool:
    """Videos and cameras; False where that was interrupted. networks: what the translations depend on, as network_digests."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # the stages of a video overlap
    given = {'networks': network_digests(*networks),
             **{name: str(getattr(args, name)) for name in ('direction', 'style', 'face', 'detector')},
             **{name: file and weights.digest(file)
                for name, file in (('reference', args.reference), ('features', args.features))}}
    engine = VideoEngine(translator.face_generator(style=args.style, reference=reference), translator.size, tracker)
    return video(engine, args.input, output, generation_info=generation_info, settings=given, overwrite=args.overwrite)


def run(args: argparse.Namespace) -> int:
    filming, photos, failure = moving(args.input, args.output), [], None
    if filming:
        output = args.output
        if output is None and camera_name(args.input) is None:
            output = OUTPUT / f'{args.input.stem}.mp4' if os.path.isfile(args.input) else OUTPUT
        check_video_output(args.input, output)
        if args.input.is_dir() and _still(args.input):
            photos = listed(args, args.direction or 'a2b')
    elif not os.path.exists(args.input):
        raise ValueError(f'there is no {args.input}; give an image, a video, a folder of these, or `camera`')
    reference, signed = args.reference and read_noted(args.reference).rgb, signs(args)
    if args.input.is_file() and not filming:
        listed(args, 'a2b')  # what is wrong with the files is said before the networks are loaded
    centers = args.features and read_centers(args.features)
    file, looks = chosen(args)
    looks = looks.id_encoder, looks.parser or PerceptionConfig().parser
    perception = build_perception(looks[0], None, looks[1]).to(args.device)
    family, detector = load_translator(file, perception).to(args.device), build_detector(args.detector, args.device)
    translator = FaceTranslator(family, detector, args.direction, parser=perception.parser, centers=centers, device=args.device)
    if reference is not None:
        reference = translator.align_image(reference)
        if reference.note:
            print(f'note on {args.reference}: {reference.note}', file=sys.stderr)
    translator.check(args.styles, reference is not None)
    generation_infos = {kind: GenerationInfo.of(translator.name, [file], translator.description, kind) if signed else None
               for kind in (COMPOSITE_MEDIA, GENERATED_MEDIA)}
    if filming:
        embed = FaceSwapper(family, perception, detector, device=args.device).embed
        tracker = Tracker(detector, embed, choice=args.face)
        try:
            if not filmed(args, translator, tracker, reference, [str(file), *looks], output, generation_infos[COMPOSITE_MEDIA]):
                return STOPPED
        except ValueError as error:
            if not photos or isinstance(error, WriteError):
                raise
            failure = error  # raised once the images of the folder are translated
        if not photos:
            return 0
    everything = photos or listed(args, translator.direction)
    todo = [work for work in everything if args.overwrite or not sheet_of(work).is_file()]
    if len(everything) == 1 and todo:
        translated(todo[0], args, translator, reference, generation_infos)
    else:
        print(process_all(todo, len(everything), lambda work: translated(work, args, translator, reference, generation_infos),
                          name=lambda work: work.source, done='translated'), file=sys.stderr)
    print(sheet_of(everything[0]) if len(everything) == 1 else args.output or OUTPUT)
    if failure is not None:
        raise failure
    return 0


def main(argv: list[str] | None = None) -> int:
    try:
        with explain_out_of_memory(lambda: 'set --device cpu or take smaller images'):
            return run(parse(argv))
    except (ValueError, OSError, weights.WeightsError, RunError) as error:
        print(f'translate.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(run_script(main))
